//! The fake behaves as a set that a server feeds.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secretslots::{Code, Fake, FakeSlots, reason};
use serde_json::Value;

#[test]
fn it_needs_no_runtime_and_rotates() {
    let fake = Fake::new([("a", FakeSlots::from("one")), ("b", FakeSlots::from([(10, "x"), (20, "y")]))]).unwrap();
    let (a, b) = (fake.set().handle("a").unwrap(), fake.set().handle("b").unwrap());
    assert_eq!((a.current().unwrap().slot(), a.current().unwrap().epoch()), (0, "fake"));
    assert_eq!(b.effective_at(19).unwrap().text(), Ok("x"));
    assert_eq!(b.effective_at(9).unwrap_err().reason(), reason::NO_EFFECTIVE_SLOT);
    fake.rotate("b", "z").unwrap();
    assert_eq!(b.current().unwrap().slot(), 21);
    fake.disable("b", 21).unwrap();
    assert_eq!((b.current().unwrap().slot(), b.current().unwrap().revision()), (20, 3));
    fake.rotate("b", "past the disabled").unwrap();
    assert_eq!(b.current().unwrap().slot(), 22);
    assert_eq!(fake.disable("b", 21).unwrap_err().reason(), "SLOT_NOT_FOUND");
    fake.disable("a", 0).unwrap();
    assert_eq!(a.current().unwrap_err().reason(), reason::NO_EFFECTIVE_SLOT);
    fake.delete("a").unwrap();
    assert_eq!(a.current().unwrap_err().reason(), reason::SECRET_NOT_FOUND);
    assert!(a.current().unwrap_err().is_absent());
    assert_eq!(fake.delete("a").unwrap_err().code(), Code::NotFound);
    fake.rotate("a", "again").unwrap();
    assert_eq!(a.current().unwrap().slot(), 0);
    assert_eq!(fake.rotate("c", "x").unwrap_err().reason(), reason::NAME_NOT_DECLARED);
    assert!(!fake.set().is_stale() && fake.set().age().is_some());
}

#[test]
fn nothing_of_it_prints_a_value() {
    let fake = Fake::new([("a", "hunter2")]).unwrap();
    let handle = fake.set().handle("a").unwrap();
    let version = handle.current().unwrap();
    let json = serde_json::to_string(version.value()).unwrap();
    let texts = format!(
        "{fake:?} {:?} {handle:?} {version:?} {:#?} {:?} {} {json}",
        fake.set(),
        handle.state(),
        version.value(),
        version.value(),
    );
    assert!(!texts.contains("hunter2") && !texts.contains("104, 117, 110"), "{texts}");
    assert!(texts.contains("[secret]"));
}

/// The cases of the contract, by handles.
#[test]
fn slots_resolve_as_the_contracts_cases_say() {
    let file = include_str!("../../../../test/conformance/cases/slots.json");
    let file: Value = serde_json::from_str(file).unwrap();
    for case in file["cases"].as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        let slots = values(case);
        let fake = Fake::new([("s", slots.clone().into_iter().collect::<FakeSlots>())]).unwrap();
        for step in case["then"].as_array().into_iter().flatten() {
            take(&fake, &slots, step);
        }
        let handle = fake.set().handle("s").unwrap();
        for call in case["calls"].as_array().unwrap() {
            let got = match number(&call["at"]) {
                Some(at) => handle.effective_at(at),
                None => handle.current(),
            };
            match (expected(call), got) {
                (Some(value), Ok(version)) => {
                    assert_eq!(
                        (version.bytes(), Some(version.slot())),
                        (value.as_slice(), number(&call["slot"])),
                        "{id}"
                    );
                }
                (None, Err(error)) => assert_eq!(error.reason(), call["reason"], "{id}"),
                (_, got) => panic!("{id}: {got:?}"),
            }
        }
    }
}

fn number(of: &Value) -> Option<u64> {
    of.as_str().map(|text| text.parse().unwrap())
}

fn values(case: &Value) -> BTreeMap<u64, Vec<u8>> {
    let text = case["slots"].as_object().into_iter().flatten();
    let text = text.map(|(slot, value)| (slot.parse().unwrap(), value.as_str().unwrap().as_bytes().to_vec()));
    let bytes = case["slots_base64"].as_object().into_iter().flatten();
    let bytes =
        bytes.map(|(slot, value)| (slot.parse().unwrap(), BASE64.decode(value.as_str().unwrap()).unwrap()));
    text.chain(bytes).collect()
}

fn expected(call: &Value) -> Option<Vec<u8>> {
    let base64 = call["value_base64"].as_str().map(|text| BASE64.decode(text).unwrap());
    base64.or_else(|| call["value"].as_str().map(|text| text.as_bytes().to_vec()))
}

fn take(fake: &Fake, slots: &BTreeMap<u64, Vec<u8>>, step: &Value) {
    if let Some(slot) = number(&step["disable"]).or(number(&step["destroy"])) {
        fake.disable("s", slot).unwrap();
    } else if let Some(slot) = number(&step["enable"]) {
        fake.rotate_at("s", slot, slots[&slot].clone()).unwrap();
    } else if let Some(slot) = number(&step["put"]) {
        fake.rotate_at("s", slot, step["value"].as_str().unwrap()).unwrap();
    } else {
        assert_eq!(step["delete"], true, "an unknown step: {step}");
        fake.delete("s").unwrap();
    }
}
