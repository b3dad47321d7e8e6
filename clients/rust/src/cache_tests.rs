use super::*;

const KEY: [u8; 32] = [7; 32];

fn snapshot() -> Snapshot {
    let epoch: Arc<str> = "e1".into();
    let good = Slot {
        number: MAX_NUMBER,
        revision: 12,
        create_time: Some(UNIX_EPOCH + Duration::new(1_790_000_100, 250_000_000)),
        value: Some([0, 255, 128].as_slice().into()),
    };
    let failed = Slot { number: 5, revision: 40, create_time: None, value: None };
    let slots = Content::Slots([failed, good].into());
    let state =
        |name: &str, revision, content| State { name: name.into(), epoch: Arc::clone(&epoch), revision, content };
    Snapshot {
        view: View::AllEnabled,
        position: Position { epoch: Arc::clone(&epoch), revision: 42 },
        resume_token: "token".into(),
        states: vec![
            Arc::new(state("app/db", 40, slots)),
            Arc::new(state("app/gone", 41, Content::Absent(AbsentReason::NotExisting))),
        ],
    }
}

#[test]
fn what_is_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    let key = Key::new(&KEY).unwrap();
    assert!(read(&path, &key).unwrap().is_none());
    write(&path, &key, &snapshot()).unwrap();
    write(&path, &key, &snapshot()).unwrap();
    let back = read(&path, &key).unwrap().unwrap();
    assert_eq!(back.states, snapshot().states);
    assert_eq!(
        (back.view, back.position, back.resume_token.as_str()),
        (View::AllEnabled, snapshot().position, "token")
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn damage_another_key_and_other_content_are_refused_without_quoting_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    let key = Key::new(&KEY).unwrap();
    write(&path, &key, &snapshot()).unwrap();
    let whole = fs::read(&path).unwrap();
    let refused = |bytes: &[u8], key: &Key| {
        fs::write(&path, bytes).unwrap();
        assert_eq!(read(&path, key).unwrap_err().reason(), reason::CACHE_UNREADABLE);
    };
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        refused(&bytes, &key);
    }
    for length in [0, 7, 8, 19, 20, 35, whole.len() - 1] {
        refused(&whole[..length], &key);
    }
    refused(&whole, &Key::new(&[8; 32]).unwrap());
    for payload in [
        "{}",
        r#"{"version":"2","view":"ALL_ENABLED","epoch":"","revision":"1","resumeToken":"","savedAt":"1","secrets":{}}"#,
        r#"{"version":"1","view":"ALL_ENABLED","epoch":"","revision":"9223372036854775808","resumeToken":"","savedAt":"1","secrets":{}}"#,
        r#"{"version":"1","view":"ALL_ENABLED","epoch":"","revision":"1","resumeToken":"","savedAt":"1","secrets":{"a":{"revision":"1","absent":"","slots":[]}}}"#,
    ] {
        assert!(decode(payload.as_bytes()).is_err(), "{payload}");
    }
}

#[test]
fn the_example_of_the_specification_is_read() {
    let payload = r#"{ "version": "1", "view": "ALL_ENABLED", "epoch": "e", "revision": "42", "resumeToken": "t",
      "savedAt": "1790000000", "later": true, "secrets": {
        "app/db": { "revision": "40", "absent": "", "slots": [
          { "slot": "0", "revision": "12", "createTime": "1790000000.000000000", "value": "aHVudGVyMg==" },
          { "slot": "5", "revision": "40", "createTime": "1790000100.250000000", "failed": true } ] },
        "app/gone": { "revision": "41", "absent": "NOT_EXISTING", "slots": [] } } }"#;
    let snapshot = decode(payload.as_bytes()).unwrap();
    assert_eq!(snapshot.states[0].slots()[0].value().unwrap().text(), Ok("hunter2"));
    assert_eq!(snapshot.states[0].slots()[1].value(), None);
    assert_eq!(snapshot.states[1].absent(), Some(AbsentReason::NotExisting));
}

#[test]
fn a_key_is_32_bytes() {
    assert_eq!(Key::new(&[0; 31]).err().unwrap().code(), Code::InvalidArgument);
}
