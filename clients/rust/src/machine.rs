//! The WatchSlots state machine: events in, whole states out at `synced`. Pure: no I/O, no clock, no tasks.
//!
//! W14: within an epoch nothing older ever replaces newer, unless the server said `history_reset`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secretslots_stubs::v1::{self, watch_slots_response::Event};

use crate::checksum;
use crate::error::{Code, Error, Result};
use crate::name::MAX_NUMBER;
use crate::state::{AbsentReason, Content, Slot, State};

/// Where in the store's history the applied states stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub epoch: Arc<str>,
    pub revision: u64,
}

/// What one message asks of the caller.
#[derive(Debug)]
pub(crate) enum Step {
    /// Nothing to do yet.
    Nothing,
    /// Publish these states together; they may be none.
    Synced(Vec<Arc<State>>),
    /// Up to date; nothing changed.
    Progress,
}

/// One secret as the next `synced` will make it.
struct Draft {
    slots: BTreeMap<u64, Slot>,
    absent: Option<AbsentReason>,
    /// Began from nothing, so it does not compare with what is applied.
    rebuilt: bool,
    /// The largest revision among the events applied to it; none when there was no event.
    revision: Option<u64>,
}

impl Draft {
    fn from_nothing() -> Self {
        Self { slots: BTreeMap::new(), absent: None, rebuilt: true, revision: None }
    }

    fn from_applied(state: &State) -> Self {
        let slots = state.slots().iter().map(|slot| (slot.number, slot.clone())).collect();
        Self { slots, absent: state.absent(), rebuilt: false, revision: None }
    }

    fn touched_by(&mut self, revision: u64) {
        self.revision = self.revision.max(Some(revision));
    }

    fn content(&self) -> Content {
        if !self.slots.is_empty() {
            return Content::Slots(self.slots.values().cloned().collect());
        }
        let nothing_was_said = self.rebuilt && self.revision.is_none();
        let silent = if nothing_was_said { AbsentReason::NotExisting } else { AbsentReason::NoEnabledSlot };
        Content::Absent(self.absent.unwrap_or(silent))
    }
}

pub(crate) struct Machine {
    names: HashMap<String, Arc<str>>,
    applied: HashMap<Arc<str>, Arc<State>>,
    position: Option<Position>,
    resume_token: String,
    // Of the present stream:
    pending: HashMap<Arc<str>, Draft>,
    stream_epoch: Option<Arc<str>>,
}

impl Machine {
    pub fn new(names: &[Arc<str>]) -> Self {
        Self {
            names: names.iter().map(|name| (name.to_string(), Arc::clone(name))).collect(),
            applied: HashMap::new(),
            position: None,
            resume_token: String::new(),
            pending: HashMap::new(),
            stream_epoch: None,
        }
    }

    /// Takes what a cache file held as applied, for every rule.
    pub fn restore(&mut self, states: &[Arc<State>], position: Position, resume_token: String) {
        self.applied = states.iter().map(|state| (Arc::clone(&state.name), Arc::clone(state))).collect();
        self.position = Some(position);
        self.resume_token = resume_token;
    }

    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    pub fn resume_token(&self) -> &str {
        &self.resume_token
    }

    pub fn forget_token(&mut self) {
        self.resume_token.clear();
    }

    /// The pending set dies with its stream; what was applied does not.
    pub fn begin_stream(&mut self) {
        self.pending.clear();
        self.stream_epoch = self.position.as_ref().map(|position| Arc::clone(&position.epoch));
    }

    /// An error means: cancel the stream and go on as after UNAVAILABLE.
    pub fn feed(&mut self, message: v1::WatchSlotsResponse) -> Result<Step> {
        let revision = number("revision", Some(message.revision))?;
        let Some(event) = message.event else { return Ok(Step::Nothing) };
        let moved = self.enter_epoch(&message.epoch);
        if moved && matches!(event, Event::Progress(_)) {
            return Err(Error::new(
                Code::Unavailable,
                "",
                "the server went on in another epoch without its state",
            ));
        }
        match event {
            Event::Begin(begin) => {
                if let Some(name) = self.name(&begin.name) {
                    self.pending.insert(name, Draft::from_nothing());
                }
            }
            Event::Slot(slot) => self.slot(slot, revision)?,
            Event::Removed(removed) => {
                let number = number("slot", removed.slot)?;
                if let Some(draft) = self.draft_for(&removed.name, number, revision) {
                    draft.slots.remove(&number);
                    draft.touched_by(revision);
                }
            }
            Event::Failed(failed) => self.failed(&failed, revision)?,
            Event::Absent(absent) => {
                if let Some(draft) = self.draft(&absent.name) {
                    draft.slots.clear();
                    draft.absent = Some(match absent.reason() {
                        v1::AbsentReason::NotExisting => AbsentReason::NotExisting,
                        v1::AbsentReason::NoEnabledSlot | v1::AbsentReason::Unspecified => {
                            AbsentReason::NoEnabledSlot
                        }
                    });
                    draft.touched_by(revision);
                }
            }
            Event::Synced(_) => return self.synced(message.epoch, revision, message.resume_token),
            Event::Progress(_) => return Ok(self.progress(message.epoch, revision, message.resume_token)),
            Event::HistoryReset(_) => self.start_over(),
        }
        Ok(Step::Nothing)
    }

    /// Another epoch without a `history_reset` counts as if one had come first.
    fn enter_epoch(&mut self, epoch: &str) -> bool {
        let moved = match &self.stream_epoch {
            Some(known) if **known == *epoch => return false,
            Some(_) => true,
            None => false,
        };
        if moved {
            self.start_over();
        }
        self.stream_epoch = Some(epoch.into());
        moved
    }

    fn start_over(&mut self) {
        self.pending = self.names.values().map(|name| (Arc::clone(name), Draft::from_nothing())).collect();
        self.resume_token.clear();
        self.position = None;
    }

    fn name(&self, name: &str) -> Option<Arc<str>> {
        self.names.get(name).cloned()
    }

    fn draft(&mut self, name: &str) -> Option<&mut Draft> {
        let name = self.name(name)?;
        let applied = self.applied.get(&name);
        let start = || applied.map_or_else(Draft::from_nothing, |state| Draft::from_applied(state));
        Some(self.pending.entry(name).or_insert_with(start))
    }

    /// None for a name not asked for, and for an event older than what is applied for that slot (W14).
    fn draft_for(&mut self, name: &str, slot: u64, revision: u64) -> Option<&mut Draft> {
        let applied = self.applied_slot(name, slot).map(|applied| applied.revision);
        let draft = self.draft(name)?;
        let older = !draft.rebuilt && applied.is_some_and(|applied| revision < applied);
        if older { None } else { Some(draft) }
    }

    fn applied_slot(&self, name: &str, number: u64) -> Option<&Slot> {
        let state = self.applied.get(name)?;
        let same_epoch = self.stream_epoch.as_ref().is_none_or(|epoch| *epoch == state.epoch);
        let index = state.slots().binary_search_by_key(&number, |slot| slot.number).ok()?;
        if same_epoch { Some(&state.slots()[index]) } else { None }
    }

    fn slot(&mut self, slot: v1::LiveSlot, revision: u64) -> Result<()> {
        let number = number("slot", slot.slot)?;
        checksum::verify_slot(&slot)?;
        if let Some(draft) = self.draft_for(&slot.name, number, revision) {
            let create_time = slot.create_time.and_then(system_time);
            let value = Some(slot.value.into());
            draft.slots.insert(number, Slot { number, revision, create_time, value });
            draft.absent = None;
            draft.touched_by(revision);
        }
        Ok(())
    }

    /// A record damaged later keeps the value that the same commit already gave us.
    fn failed(&mut self, failed: &v1::FailedSlot, revision: u64) -> Result<()> {
        let number = number("slot", failed.slot)?;
        let good = self.applied_slot(&failed.name, number).filter(|slot| slot.revision == revision).cloned();
        if let Some(draft) = self.draft_for(&failed.name, number, revision) {
            let slot = good.unwrap_or(Slot { number, revision, create_time: None, value: None });
            draft.slots.insert(number, slot);
            draft.absent = None;
            draft.touched_by(revision);
        }
        Ok(())
    }

    fn synced(&mut self, epoch: String, revision: u64, token: String) -> Result<Step> {
        if let Some(last) = self.position.as_ref().filter(|last| revision < last.revision) {
            let message = format!("the server answered revision {revision} after {}", last.revision);
            self.pending.clear();
            self.forget_token();
            return Err(Error::new(Code::Unavailable, "", message));
        }
        let epoch: Arc<str> = match &self.stream_epoch {
            Some(known) if **known == *epoch => Arc::clone(known),
            _ => epoch.into(),
        };
        let mut changed = Vec::new();
        for (name, draft) in std::mem::take(&mut self.pending) {
            if let Some(state) = Self::next_state(self.applied.get(&name), &name, &draft, &epoch, revision) {
                let state = Arc::new(state);
                self.applied.insert(name, Arc::clone(&state));
                changed.push(state);
            }
        }
        self.position = Some(Position { epoch, revision });
        self.resume_token = token;
        Ok(Step::Synced(changed))
    }

    /// None when the secret is what it was: it keeps its state, and nobody is called.
    fn next_state(
        before: Option<&Arc<State>>,
        name: &Arc<str>,
        draft: &Draft,
        epoch: &Arc<str>,
        synced: u64,
    ) -> Option<State> {
        let content = draft.content();
        let before = before.filter(|before| before.epoch == *epoch);
        if before.is_some_and(|before| before.content == content) {
            return None;
        }
        let events = draft.revision.unwrap_or(0);
        let rises = before.is_none_or(|before| events > before.revision);
        let revision = if rises { events } else { synced };
        Some(State { name: Arc::clone(name), epoch: Arc::clone(epoch), revision, content })
    }

    /// A token is kept only when nothing is pending: resuming after it would skip what is.
    fn progress(&mut self, epoch: String, revision: u64, token: String) -> Step {
        let behind = self.position.as_ref().is_some_and(|last| revision < last.revision);
        if self.pending.is_empty() && !behind {
            self.position = Some(Position { epoch: epoch.into(), revision });
            self.resume_token = token;
        }
        Step::Progress
    }
}

/// A number that the contract says is always set and at most 2^63−1.
fn number(field: &str, number: Option<u64>) -> Result<u64> {
    number
        .filter(|number| *number <= MAX_NUMBER)
        .ok_or_else(|| Error::new(Code::Internal, "", format!("the server sent a bad {field}")))
}

pub(crate) fn system_time(timestamp: prost_types::Timestamp) -> Option<SystemTime> {
    let seconds = u64::try_from(timestamp.seconds).ok()?;
    let nanoseconds = u32::try_from(timestamp.nanos).ok().filter(|nanoseconds| *nanoseconds < 1_000_000_000)?;
    UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
