use super::*;

fn state(slots: &[(u64, Option<&str>)]) -> Arc<State> {
    let slot = |&(number, value): &(u64, Option<&str>)| Slot {
        number,
        revision: 1,
        create_time: None,
        value: value.map(SecretValue::from),
    };
    let content = match slots {
        [] => Content::Absent(AbsentReason::NoEnabledSlot),
        slots => Content::Slots(slots.iter().map(slot).collect()),
    };
    Arc::new(State { name: "s".into(), epoch: "e".into(), revision: 1, content })
}

fn accepted(slots: &[(u64, Option<&str>)], t: u64, overlap: u64) -> Vec<u64> {
    let versions = Version::acceptable(&state(slots), t, overlap).unwrap();
    versions.iter().map(Version::slot).collect()
}

#[test]
fn acceptable_is_all_that_is_effective_around_a_time() {
    let slots = [(10, Some("a")), (20, Some("b")), (30, Some("c"))];
    assert_eq!(accepted(&slots, 20, 0), [20]);
    assert_eq!(accepted(&slots, 20, 1), [20, 10]);
    assert_eq!(accepted(&slots, 19, 0), [10]);
    assert_eq!(accepted(&slots, 25, 5), [30, 20]);
    assert_eq!(accepted(&slots, 25, 100), [30, 20, 10]);
    assert!(accepted(&slots, 5, 4).is_empty());
    assert_eq!(accepted(&slots, 5, 5), [10]);
    assert_eq!(accepted(&slots, MAX_NUMBER, MAX_NUMBER), [30, 20, 10]);
    assert!(accepted(&[], 5, 5).is_empty());
}

#[test]
fn acceptable_gives_no_value_twice_and_leaves_failed_slots_out() {
    assert_eq!(accepted(&[(1, Some("a")), (2, Some("b")), (3, Some("a"))], 2, 5), [3, 2]);
    assert!(accepted(&[(1, Some("a")), (2, None), (3, Some("c"))], 2, 0).is_empty());
    assert_eq!(accepted(&[(1, Some("a")), (2, None), (3, Some("c"))], 2, 1), [3, 1]);
}

#[test]
fn a_failed_slot_is_never_skipped_in_favour_of_a_lower_one() {
    let state = state(&[(1, Some("a")), (2, None)]);
    let at = |t| Version::effective_at(Guard::from_inner(Arc::clone(&state)), t).map(|version| version.slot());
    assert_eq!(at(1), Ok(1));
    assert_eq!(at(2).unwrap_err().code(), Code::DataLoss);
    assert_eq!(at(0).unwrap_err().reason(), reason::NO_EFFECTIVE_SLOT);
    assert_eq!(at(MAX_NUMBER + 1).unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn the_whole_range_is_exact() {
    let slots = [(1 << 31, Some("a")), ((1 << 53) + 1, Some("b")), (MAX_NUMBER, Some("c"))];
    assert_eq!(accepted(&slots, 1 << 53, 0), [1 << 31]);
    assert_eq!(accepted(&slots, (1 << 53) + 1, 0), [(1 << 53) + 1]);
    assert_eq!(accepted(&slots, MAX_NUMBER, 0), [MAX_NUMBER]);
}
