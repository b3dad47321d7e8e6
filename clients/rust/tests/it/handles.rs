//! Callbacks, streams of changes and derived values, through the fake: it feeds the real ones.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use secretslots::{Change, Fake, FakeSlots, Version};

use crate::{BOUND, soon, until};

fn fake() -> Fake {
    Fake::new([("a", FakeSlots::from([(0, "old"), (5, "new")]))]).unwrap()
}

#[tokio::test]
async fn one_call_for_each_change_in_order_and_none_for_the_state_there_is() {
    let fake = fake();
    let handle = fake.set().handle("a").unwrap();
    let (tell, told) = mpsc::channel();
    let subscription = handle.on_change(move |change: &Change| {
        let slot = change.current.current().map(secretslots::Slot::number);
        tell.send((change.current.revision(), slot, change.current_changed)).unwrap();
    });
    fake.rotate("a", "newer").unwrap();
    fake.rotate_at("a", 3, "below").unwrap();
    fake.disable("a", 6).unwrap();
    fake.delete("a").unwrap();
    fake.rotate("a", "born again").unwrap();
    let told = tokio::task::spawn_blocking(move || {
        let all: Vec<_> = (0..5).map(|_| told.recv_timeout(BOUND).unwrap()).collect();
        (all, told)
    });
    let (all, told) = told.await.unwrap();
    let expected =
        [(2, Some(6), true), (3, Some(6), false), (4, Some(5), true), (5, None, true), (6, Some(0), true)];
    assert_eq!(all, expected);
    subscription.unsubscribe();
    fake.rotate("a", "unheard").unwrap();
    soon(fake.set().close()).await;
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn a_slow_callback_delays_its_own_calls_and_never_the_values() {
    let fake = fake();
    let handle = fake.set().handle("a").unwrap();
    let (go, wait) = mpsc::channel::<()>();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    handle.on_change(move |_| {
        wait.recv_timeout(BOUND).unwrap();
        counted.fetch_add(1, Ordering::SeqCst);
    });
    for i in 0..3 {
        fake.rotate("a", format!("v{i}")).unwrap();
    }
    assert_eq!(handle.current().unwrap().text(), Ok("v2"));
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    (0..3).for_each(|_| go.send(()).unwrap());
    until("all calls", || calls.load(Ordering::SeqCst) == 3).await;
}

#[tokio::test]
async fn a_panicking_callback_is_called_again() {
    let fake = fake();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    fake.set().handle("a").unwrap().on_change(move |_| {
        assert!(counted.fetch_add(1, Ordering::SeqCst) > 0, "the first call panics, as planned");
    });
    fake.rotate("a", "x").unwrap();
    fake.rotate("a", "y").unwrap();
    until("the second call", || calls.load(Ordering::SeqCst) == 2).await;
}

#[tokio::test]
async fn changes_are_a_stream_that_ends_with_the_set() {
    let fake = fake();
    let mut changes = fake.set().handle("a").unwrap().changes();
    fake.rotate("a", "x").unwrap();
    fake.rotate("a", "y").unwrap();
    soon(fake.set().close()).await;
    let mut revisions = Vec::new();
    while let Some(change) = soon(tokio_stream::StreamExt::next(&mut changes)).await {
        assert_eq!(change.name(), "a");
        revisions.push(change.current.revision());
    }
    assert_eq!(revisions, [2, 3]);
}

/// What was built and closed, in order.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    fn note(&self, what: &str, value: &str) {
        self.0.lock().unwrap().push(format!("{what} {value}"));
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

async fn derived(fake: &Fake, journal: &Journal) -> secretslots::Derived<String> {
    let (building, closing) = (journal.clone(), journal.clone());
    let build = move |version: Version| {
        let journal = building.clone();
        async move {
            let text = version.text().unwrap().to_owned();
            if text == "bad" {
                journal.note("failed", &text);
                return Err("no such password");
            }
            journal.note("built", &text);
            Ok(text)
        }
    };
    let close = move |old: Arc<String>| {
        closing.note("closed", &old);
        std::future::ready(())
    };
    fake.set().handle("a").unwrap().derived(build, close).await.unwrap()
}

#[tokio::test]
async fn a_derived_value_is_swapped_then_the_old_one_closed() {
    let (fake, journal) = (fake(), Journal::default());
    let pool = derived(&fake, &journal).await;
    assert_eq!(*pool.get(), "new");
    fake.rotate_at("a", 1, "below").unwrap();
    fake.rotate("a", "newer").unwrap();
    until("the swap", || journal.lines().len() == 3).await;
    assert_eq!(*pool.get(), "newer");
    assert_eq!(journal.lines(), ["built new", "built newer", "closed new"]);
    soon(pool.close()).await;
    soon(pool.close()).await;
    assert_eq!(journal.lines().last().unwrap(), "closed newer");
}

#[tokio::test]
async fn a_derived_value_stays_while_building_fails_and_while_the_secret_is_absent() {
    let (fake, journal) = (fake(), Journal::default());
    let pool = derived(&fake, &journal).await;
    fake.rotate("a", "bad").unwrap();
    until("two tries", || journal.lines().iter().filter(|line| *line == "failed bad").count() >= 2).await;
    assert_eq!(*pool.get(), "new");
    fake.delete("a").unwrap();
    tokio::task::yield_now().await;
    assert_eq!(*pool.get(), "new");
    fake.rotate("a", "good").unwrap();
    until("the swap", || journal.lines().contains(&"closed new".to_owned())).await;
    assert_eq!(*pool.get(), "good");
    soon(fake.set().close()).await;
    assert_eq!(journal.lines().last().unwrap(), "closed good");
}

#[tokio::test]
async fn the_first_builds_error_is_the_callers() {
    let fake = fake();
    let build = |_: Version| std::future::ready(Err::<(), _>(std::io::Error::other("refused")));
    let outcome = fake.set().handle("a").unwrap().derived(build, |_| std::future::ready(())).await;
    assert_eq!(outcome.err().unwrap().downcast_ref::<std::io::Error>().unwrap().to_string(), "refused");
}

#[tokio::test]
async fn a_build_under_way_ends_with_its_derived_value() {
    let (fake, journal) = (fake(), Journal::default());
    let (building, closing) = (journal.clone(), journal.clone());
    let build = move |version: Version| {
        let journal = building.clone();
        async move {
            if version.text() != Ok("new") {
                journal.note("stuck", "");
                std::future::pending::<()>().await;
            }
            Ok::<_, std::io::Error>(())
        }
    };
    let close = move |_| {
        closing.note("closed", "");
        std::future::ready(())
    };
    let stuck = fake.set().handle("a").unwrap().derived(build, close).await.unwrap();
    fake.rotate("a", "newer").unwrap();
    until("it is stuck", || journal.lines() == ["stuck "]).await;
    soon(stuck.close()).await;
    assert_eq!(journal.lines(), ["stuck ", "closed "]);
    tokio::time::timeout(Duration::from_secs(20), fake.set().close()).await.unwrap();
}
