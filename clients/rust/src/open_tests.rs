//! With the clock stopped: what `open` waits for, and how long.

use super::*;
use crate::state::{AbsentReason, Content, Slot, State};

const LONG: Duration = Duration::from_secs(600);

fn shared() -> Arc<Shared> {
    Shared::new(vec!["z".into(), "a".into(), "m".into(), "d".into()], Warnings::default())
}

fn publish(shared: &Shared, name: &str, content: Content) {
    shared.publish(&[Arc::new(State { name: name.into(), epoch: "e".into(), revision: 1, content })]);
}

fn content(value: Option<&str>) -> Content {
    Content::Slots([Slot { number: 0, revision: 1, create_time: None, value: value.map(Into::into) }].into())
}

fn give_all_values(shared: &Shared) {
    ["z", "a", "m", "d"].iter().for_each(|name| publish(shared, name, content(Some("x"))));
}

fn made() -> Contact {
    Contact { made: true, ..Contact::default() }
}

fn failed(code: Code) -> Contact {
    Contact {
        unavailable: code == Code::Unavailable,
        last_error: Some(Error::new(code, "", "refused")),
        refused: (code == Code::PermissionDenied).then(|| Error::new(code, "", "no")),
        ..Contact::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_names_the_missing_in_order_each_with_why() {
    let shared = shared();
    let (_contact, contacted) = watch::channel(made());
    publish(&shared, "z", Content::Absent(AbsentReason::NotExisting));
    publish(&shared, "a", content(Some("x")));
    publish(&shared, "m", Content::Absent(AbsentReason::NoEnabledSlot));
    publish(&shared, "d", content(None));
    let error = wait(&shared, contacted, LONG, false).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::DeadlineExceeded, reason::SECRETS_MISSING));
    assert_eq!(error.metadata()["missing"], "z,m,d");
    let why = "z (does not exist), m (has no enabled slot), d (does not open: data loss)";
    assert!(error.message().contains(why), "{error}");
}

#[tokio::test(start_paused = true)]
async fn without_contact_the_timeout_gives_the_last_connection_error() {
    let (_contact, contacted) = watch::channel(failed(Code::Unavailable));
    let error = wait(&shared(), contacted, LONG, false).await.unwrap_err();
    assert_eq!(error.metadata()["missing"], "z,a,m,d");
    assert!(error.message().contains("z (no contact: UNAVAILABLE: refused)"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_whole_cache_answers_at_the_first_failure_or_after_two_silent_seconds() {
    let shared = shared();
    give_all_values(&shared);
    let begun = Instant::now();
    let (_contact, contacted) = watch::channel(failed(Code::Unavailable));
    assert_eq!(wait(&shared, contacted, LONG, true).await, Ok(Opened::FromCache));
    assert_eq!(begun.elapsed(), Duration::ZERO);

    let (_contact, contacted) = watch::channel(Contact::default());
    assert_eq!(wait(&shared, contacted, LONG, true).await, Ok(Opened::FromCache));
    assert!((2_000..2_100).contains(&begun.elapsed().as_millis()), "of the stopped clock");
}

#[tokio::test(start_paused = true)]
async fn the_servers_word_goes_before_the_cache() {
    let shared = shared();
    give_all_values(&shared);
    let (_contact, contacted) = watch::channel(failed(Code::PermissionDenied));
    assert_eq!(wait(&shared, contacted, LONG, true).await.unwrap_err().code(), Code::PermissionDenied);

    publish(&shared, "a", Content::Absent(AbsentReason::NotExisting));
    let (_contact, contacted) = watch::channel(made());
    let error = wait(&shared, contacted, LONG, true).await.unwrap_err();
    assert_eq!(error.metadata()["missing"], "a");
}
