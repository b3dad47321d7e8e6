use super::*;
use crate::checksum::crc32c;
use crate::state::Version;

const A: &str = "a";
const B: &str = "b";

fn machine() -> Machine {
    Machine::new(&[A.into(), B.into()])
}

fn message(epoch: &str, revision: u64, event: Event) -> v1::WatchSlotsResponse {
    let carries_token = matches!(event, Event::Synced(_) | Event::Progress(_));
    let resume_token = if carries_token { format!("{epoch}/{revision}") } else { String::new() };
    v1::WatchSlotsResponse { epoch: epoch.into(), revision, resume_token, event: Some(event) }
}

fn begin(name: &str) -> Event {
    Event::Begin(v1::Begin { name: name.into() })
}

fn slot(name: &str, slot: u64, value: &str) -> Event {
    let crc32c = Some(crc32c(value.as_bytes()));
    let value = value.as_bytes().to_vec();
    Event::Slot(v1::LiveSlot { name: name.into(), slot: Some(slot), value, crc32c, create_time: None })
}

fn removed(name: &str, slot: u64) -> Event {
    Event::Removed(v1::RemovedSlot { name: name.into(), slot: Some(slot) })
}

fn failed(name: &str, slot: u64) -> Event {
    Event::Failed(v1::FailedSlot { name: name.into(), slot: Some(slot) })
}

fn absent(name: &str, reason: v1::AbsentReason) -> Event {
    Event::Absent(v1::AbsentSecret { name: name.into(), reason: reason.into() })
}

fn synced() -> Event {
    Event::Synced(v1::Synced {})
}

fn progress() -> Event {
    Event::Progress(v1::Progress {})
}

fn history_reset() -> Event {
    Event::HistoryReset(v1::HistoryReset {})
}

/// Feeds events of epoch `e` and gives what the last one did.
fn feed(machine: &mut Machine, events: impl IntoIterator<Item = (u64, Event)>) -> Result<Step> {
    feed_in("e", machine, events)
}

fn feed_in(epoch: &str, machine: &mut Machine, events: impl IntoIterator<Item = (u64, Event)>) -> Result<Step> {
    let mut last = Ok(Step::Nothing);
    for (revision, event) in events {
        last = machine.feed(message(epoch, revision, event));
    }
    last
}

fn changed(step: Result<Step>) -> Vec<Arc<State>> {
    match step {
        Ok(Step::Synced(mut states)) => {
            states.sort_by(|a, b| a.name.cmp(&b.name));
            states
        }
        other => panic!("{other:?} instead of Synced"),
    }
}

/// The one state that changed, as slots and values (`!` for failed), and its revision.
fn only(step: Result<Step>) -> (Vec<(u64, String)>, u64) {
    let states = changed(step);
    assert_eq!(states.len(), 1, "{states:?}");
    (shown(&states[0]), states[0].revision)
}

fn shown(state: &State) -> Vec<(u64, String)> {
    let text = |slot: &Slot| slot.value().map_or("!".to_owned(), |value| value.text().unwrap().to_owned());
    state.slots().iter().map(|slot| (slot.number, text(slot))).collect()
}

/// A machine at revision 10: a = {0: old (3), 5: new (9)}, b absent.
fn opened() -> Machine {
    let mut machine = machine();
    machine.begin_stream();
    let not_existing = absent(B, v1::AbsentReason::NotExisting);
    let step = feed(
        &mut machine,
        [
            (10, begin(A)),
            (3, slot(A, 0, "old")),
            (9, slot(A, 5, "new")),
            (10, begin(B)),
            (0, not_existing),
            (10, synced()),
        ],
    );
    let states = changed(step);
    assert_eq!(
        (states[0].revision, states[1].revision, states[1].absent()),
        (9, 0, Some(AbsentReason::NotExisting))
    );
    machine
}

#[test]
fn nothing_is_applied_before_synced_and_then_all_at_once() {
    let mut machine = opened();
    let step = feed(&mut machine, [(11, slot(A, 6, "x")), (12, slot(B, 1, "y"))]);
    assert!(matches!(step, Ok(Step::Nothing)));
    let states = changed(feed(&mut machine, [(12, synced())]));
    assert_eq!((states[0].revision, states[1].revision), (11, 12));
    assert_eq!(machine.resume_token(), "e/12");
}

#[test]
fn the_pending_set_dies_with_its_stream() {
    let mut machine = opened();
    feed(&mut machine, [(11, slot(A, 6, "lost"))]).unwrap();
    machine.begin_stream();
    assert!(changed(feed(&mut machine, [(11, synced())])).is_empty());
}

#[test]
fn a_slot_taken_away_falls_and_the_revision_rises() {
    let mut machine = opened();
    assert_eq!(only(feed(&mut machine, [(11, removed(A, 5)), (11, synced())])), (vec![(0, "old".into())], 11));
    let states = changed(feed(&mut machine, [(12, removed(A, 0)), (12, synced())]));
    assert_eq!((states[0].absent(), states[0].revision), (Some(AbsentReason::NoEnabledSlot), 12));
}

#[test]
fn a_name_begun_without_anything_else_does_not_exist() {
    let mut machine = opened();
    let states = changed(feed(&mut machine, [(11, begin(A)), (11, synced())]));
    assert_eq!((states[0].absent(), states[0].revision), (Some(AbsentReason::NotExisting), 11));
}

#[test]
fn a_state_rebuilt_to_what_it_was_changes_nothing() {
    let mut machine = opened();
    let again = [(12, begin(A)), (3, slot(A, 0, "old")), (9, slot(A, 5, "new")), (12, synced())];
    assert!(changed(feed(&mut machine, again)).is_empty());
    assert_eq!(machine.position().unwrap().revision, 12);
}

#[test]
fn a_rebuilt_state_whose_newest_slot_went_away_unseen_has_the_revision_of_the_synced() {
    let mut machine = opened();
    let step = feed(&mut machine, [(14, begin(A)), (3, slot(A, 0, "old")), (14, synced())]);
    assert_eq!(only(step), (vec![(0, "old".into())], 14));
}

#[test]
fn an_older_synced_is_dropped_whole_and_its_stream_cancelled() {
    let mut machine = opened();
    let error = feed(&mut machine, [(9, begin(A)), (2, slot(A, 0, "older")), (9, synced())]).unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!((machine.resume_token(), machine.position().unwrap().revision), ("", 10));
    machine.begin_stream();
    assert!(changed(feed(&mut machine, [(10, synced())])).is_empty());
}

#[test]
fn an_event_older_than_what_is_applied_for_its_slot_is_ignored() {
    let mut machine = opened();
    let events = [(8, slot(A, 5, "older")), (8, removed(A, 5)), (8, failed(A, 5)), (10, synced())];
    assert!(changed(feed(&mut machine, events)).is_empty());
}

#[test]
fn history_reset_forgets_order_and_token_but_not_what_is_applied() {
    let mut machine = opened();
    feed(&mut machine, [(4, history_reset())]).unwrap();
    assert_eq!((machine.resume_token(), machine.position()), ("", None));
    let states = changed(feed(&mut machine, [(4, begin(A)), (2, slot(A, 1, "restored")), (4, synced())]));
    assert_eq!(shown(&states[0]), [(1, "restored".to_owned())]);
    assert_eq!(machine.position().unwrap().revision, 4);
    let error = feed(&mut machine, [(3, synced())]).unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "order holds again after the synced");
}

#[test]
fn another_epoch_counts_as_a_history_reset() {
    let mut machine = opened();
    let step = feed_in("f", &mut machine, [(2, slot(A, 7, "other")), (2, synced())]);
    let states = changed(step);
    assert_eq!((shown(&states[0]), states[0].epoch()), (vec![(7, "other".to_owned())], "f"));
    assert_eq!(states[1].absent(), Some(AbsentReason::NotExisting));
}

#[test]
fn progress_in_another_epoch_is_not_believed() {
    let mut machine = opened();
    assert!(feed_in("f", &mut machine, [(2, progress())]).is_err());
    assert_eq!(machine.resume_token(), "");
}

#[test]
fn progress_moves_the_token_unless_something_is_pending() {
    let mut machine = opened();
    feed(&mut machine, [(15, progress())]).unwrap();
    assert_eq!((machine.resume_token(), machine.position().unwrap().revision), ("e/15", 15));
    feed(&mut machine, [(16, slot(A, 9, "pending")), (17, progress())]).unwrap();
    assert_eq!(machine.resume_token(), "e/15");
    assert_eq!(only(feed(&mut machine, [(17, synced())])).1, 16);
}

#[test]
fn a_failed_slot_keeps_the_value_of_the_same_commit_and_no_other() {
    let mut machine = opened();
    assert!(changed(feed(&mut machine, [(9, failed(A, 5)), (11, synced())])).is_empty());
    let states = changed(feed(&mut machine, [(12, failed(A, 5)), (12, synced())]));
    assert_eq!(shown(&states[0]), [(0, "old".to_owned()), (5, "!".to_owned())]);
    let error = Version::current(arc_swap::Guard::from_inner(Arc::clone(&states[0]))).unwrap_err();
    assert_eq!((error.code(), error.metadata()["slot"].as_str()), (Code::DataLoss, "5"));
}

#[test]
fn a_damaged_value_and_a_bad_number_end_the_stream() {
    let mut machine = opened();
    let mut damaged = v1::LiveSlot { name: A.into(), slot: Some(6), value: b"x".to_vec(), ..Default::default() };
    damaged.crc32c = Some(1);
    assert_eq!(feed(&mut machine, [(11, Event::Slot(damaged))]).unwrap_err().code(), Code::DataLoss);
    assert!(feed(&mut machine, [(11, slot(A, MAX_NUMBER + 1, "x"))]).is_err());
    assert!(feed(&mut machine, [(u64::MAX, synced())]).is_err());
}

#[test]
fn names_not_asked_for_and_unknown_events_are_ignored() {
    let mut machine = opened();
    feed(&mut machine, [(11, begin("other")), (11, slot("other", 1, "x"))]).unwrap();
    let unknown = v1::WatchSlotsResponse { epoch: "z".into(), revision: 1, ..Default::default() };
    machine.feed(unknown).unwrap();
    assert!(changed(feed(&mut machine, [(11, synced())])).is_empty());
}

/// W14 against a model: streams that are cut anywhere, resumed, begun anew, answered by a server that fell behind, and
/// by one restored from a backup.
#[test]
fn w14_nothing_older_ever_replaces_newer_and_the_last_state_arrives() {
    for seed in 0..500 {
        w14_history(seed);
    }
}

/// A store with one secret: its live slots and those that went, each with the commit that made it so.
#[derive(Clone)]
struct Model {
    epoch: u64,
    revision: u64,
    live: BTreeMap<u64, u64>,
    gone: BTreeMap<u64, u64>,
}

impl Model {
    fn live_slot(&self, number: u64) -> (u64, Event) {
        let made = self.live[&number];
        (made, slot(A, number, &format!("{number}@{made}#{}", self.epoch)))
    }

    fn change(&mut self, random: &mut Random) -> (u64, Event) {
        self.revision += 1;
        let number = random.below(5);
        if self.live.len() > 1 && self.live.remove(&number).is_some() {
            self.gone.insert(number, self.revision);
            return (self.revision, removed(A, number));
        }
        self.gone.remove(&number);
        self.live.insert(number, self.revision);
        self.live_slot(number)
    }

    fn whole(&self) -> Vec<(u64, Event)> {
        let slots = self.live.keys().map(|&number| self.live_slot(number));
        std::iter::once((self.revision, begin(A))).chain(slots).chain([(self.revision, synced())]).collect()
    }

    fn since(&self, revision: u64) -> Vec<(u64, Event)> {
        let live =
            self.live.iter().filter(|(_, made)| **made > revision).map(|(&number, _)| self.live_slot(number));
        let gone = self.gone.iter().filter(|(_, made)| **made > revision);
        let gone = gone.map(|(&number, &made)| (made, removed(A, number)));
        live.chain(gone).chain([(self.revision, synced())]).collect()
    }
}

/// A client's side of the histories, and what it has seen.
struct Watcher {
    machine: Machine,
    newest: Option<Arc<State>>,
}

impl Watcher {
    /// False when the machine cancelled the stream.
    fn takes(&mut self, model: &Model, events: Vec<(u64, Event)>) -> bool {
        for (revision, event) in events {
            if matches!(event, Event::HistoryReset(_)) {
                self.newest = None;
            }
            let is_synced = matches!(event, Event::Synced(_));
            match self.machine.feed(message(&model.epoch.to_string(), revision, event)) {
                Err(_) => return false,
                Ok(Step::Synced(states)) => states.into_iter().for_each(|state| self.sees(state)),
                Ok(Step::Nothing | Step::Progress) => {}
            }
            if is_synced {
                let state = &self.machine.applied[A];
                let made: BTreeMap<u64, u64> =
                    state.slots().iter().map(|slot| (slot.number, slot.revision)).collect();
                assert_eq!((&made, state.epoch()), (&model.live, model.epoch.to_string().as_str()));
            }
        }
        true
    }

    fn sees(&mut self, state: Arc<State>) {
        if let Some(before) = self.newest.as_ref().filter(|before| before.epoch == state.epoch) {
            assert!(state.revision > before.revision, "{} after {}", state.revision, before.revision);
        }
        self.newest = Some(state);
    }
}

fn w14_history(seed: u64) {
    let mut random = Random(seed);
    let mut model = Model { epoch: 1, revision: 1, live: BTreeMap::from([(0, 1)]), gone: BTreeMap::new() };
    let mut backup = model.clone();
    let mut watcher = Watcher { machine: Machine::new(&[A.into()]), newest: None };
    for _ in 0..30 {
        watcher.machine.begin_stream();
        if random.one_in(5) && watcher.machine.position().is_some_and(|at| at.revision > backup.revision) {
            let same_epoch = *watcher.machine.position().unwrap().epoch == *backup.epoch.to_string();
            if same_epoch {
                assert!(!watcher.takes(&backup, backup.whole()), "a server that fell behind is refused");
                continue;
            }
        }
        let at = watcher.machine.position().filter(|_| !watcher.machine.resume_token().is_empty()).cloned();
        let mut events = match at {
            Some(at) if *at.epoch != *model.epoch.to_string() || random.one_in(6) => {
                std::iter::once((model.revision, history_reset())).chain(model.whole()).collect()
            }
            Some(at) => model.since(at.revision),
            None => model.whole(),
        };
        if random.one_in(4) {
            events.truncate(usize::try_from(random.below(events.len() as u64)).unwrap());
            watcher.takes(&model, events);
            continue;
        }
        assert!(watcher.takes(&model, events));
        for _ in 0..random.below(6) {
            let change = model.change(&mut random);
            let cut = random.one_in(8);
            let end = (model.revision, if cut { progress() } else { synced() });
            assert!(watcher.takes(&model, vec![change, end]));
            if cut {
                break;
            }
        }
        match random.below(12) {
            0 => backup = model.clone(),
            1 => {
                let epoch = model.epoch + 1;
                model = Model { epoch, ..backup.clone() };
                backup = model.clone();
            }
            _ => {}
        }
    }
}

/// SplitMix64: a history is its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
