//! Streams that are cut, resumed, reset and answered wrongly: W14 from outside.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use secretslots::{Client, ConnectOptions, Error, Handle, OpenOptions, Set};
use tonic::Status;

use crate::server::{Server, Watch, begin, history_reset, progress, slot, synced};
use crate::{soon, until};

/// A set of `a` = {0: x} at revision 1, and its stream.
async fn opened(server: &mut Server) -> (Set, Handle, Watch) {
    let client = Client::connect(ConnectOptions::new(&server.address)).unwrap();
    let opening =
        tokio::spawn(
            async move { client.open(["a"], OpenOptions::new().timeout(Duration::from_secs(600))).await },
        );
    let watch = server.watch().await;
    watch.state("e", 1, "a", &[(0, "x")]);
    let set = soon(opening).await.unwrap().unwrap();
    let handle = set.handle("a").unwrap();
    (set, handle, watch)
}

async fn has(handle: &Handle, text: &str) {
    until(text, || handle.current().is_ok_and(|version| version.text() == Ok(text))).await;
}

#[tokio::test]
async fn a_killed_server_is_found_again_by_token_and_reads_never_fail() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let mut server = Server::start_at(&socket);
    let (set, handle, _watch) = opened(&mut server).await;
    server.kill();
    let age = set.age().unwrap();
    until("time passes", || set.age().unwrap() > age + Duration::from_millis(50)).await;
    assert_eq!(handle.current().unwrap().text(), Ok("x"));

    let mut server = Server::start_at(&socket);
    let watch = server.watch().await;
    assert_eq!(watch.request.resume_token, "e/1");
    watch.send("e", 1, progress());
    watch.changes("e", 2, "a", &[(5, "y")]);
    has(&handle, "y").await;
}

#[tokio::test]
async fn every_end_of_a_stream_is_followed_by_another() {
    let mut server = Server::start();
    let (_set, handle, watch) = opened(&mut server).await;
    drop(watch);
    let ends = [
        Status::unavailable("draining"),
        Status::cancelled("x"),
        Status::internal("x"),
        Status::unauthenticated("x"),
        Status::permission_denied("x"),
        Status::data_loss("x"),
        Status::unimplemented("x"),
    ];
    for end in ends {
        let watch = server.watch().await;
        watch.send("e", 1, progress());
        watch.fail(end);
    }
    server.watch().await.changes("e", 2, "a", &[(5, "y")]);
    has(&handle, "y").await;
}

#[tokio::test]
async fn an_older_server_is_refused_and_asked_again_without_the_token() {
    let mut server = Server::start();
    let (_set, handle, watch) = opened(&mut server).await;
    watch.changes("e", 9, "a", &[(5, "nine")]);
    has(&handle, "nine").await;
    watch.fail(Status::unavailable("x"));
    let behind = server.watch().await;
    assert_eq!(behind.request.resume_token, "e/9");
    behind.state("e", 4, "a", &[(0, "four")]);
    behind.left().await;
    let fresh = server.watch().await;
    assert_eq!(fresh.request.resume_token, "");
    assert_eq!(handle.current().unwrap().text(), Ok("nine"));
    fresh.state("e", 10, "a", &[(5, "ten")]);
    has(&handle, "ten").await;
}

#[tokio::test]
async fn history_reset_keeps_the_old_until_the_new_is_whole() {
    let mut server = Server::start();
    let (_set, handle, watch) = opened(&mut server).await;
    watch.changes("e", 9, "a", &[(5, "nine")]);
    has(&handle, "nine").await;
    watch.send("f", 2, history_reset());
    watch.send("f", 2, begin("a"));
    watch.send("f", 2, slot("a", 3, "restored"));
    assert_eq!(handle.current().unwrap().text(), Ok("nine"));
    watch.send("f", 2, synced());
    has(&handle, "restored").await;
    assert_eq!((handle.current().unwrap().epoch(), handle.current().unwrap().revision()), ("f", 2));
}

#[tokio::test]
async fn a_damaged_value_cancels_the_stream_and_warns_without_it() {
    let mut server = Server::start();
    let warnings: Arc<Mutex<Vec<Error>>> = Arc::default();
    let heard = Arc::clone(&warnings);
    let options = ConnectOptions::new(&server.address);
    let client = Client::connect(options.on_warning(move |e| heard.lock().unwrap().push(e.clone()))).unwrap();
    let opening =
        tokio::spawn(
            async move { client.open(["a"], OpenOptions::new().timeout(Duration::from_secs(600))).await },
        );
    let watch = server.watch().await;
    watch.send("e", 1, begin("a"));
    let mut damaged = slot("a", 0, "hunter2");
    if let secretslots::v1::watch_slots_response::Event::Slot(slot) = &mut damaged {
        slot.crc32c = Some(0);
    }
    watch.send("e", 1, damaged);
    watch.left().await;
    server.watch().await.state("e", 1, "a", &[(0, "hunter2")]);
    soon(opening).await.unwrap().unwrap();
    let warnings = warnings.lock().unwrap();
    assert!(warnings.iter().any(|warning| warning.reason() == "DATA_LOSS"));
    assert!(!format!("{warnings:?}").contains("hunter2"));
}

/// Slot r holds the value that commit r put there.
fn whole(watch: &Watch, revision: u64) {
    watch.send("e", revision, begin("a"));
    watch.send("e", 1, slot("a", 0, "x"));
    for made in 2..=revision {
        watch.send("e", made, slot("a", made, &format!("v{made}")));
    }
    watch.send("e", revision, synced());
}

/// W14 under every kind of cut, with readers that watch all the while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w14_readers_never_see_an_older_revision() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let mut server = Server::start_at(&socket);
    let (set, handle, mut watch) = opened(&mut server).await;
    let told: Arc<Mutex<Vec<u64>>> = Arc::default();
    let log = Arc::clone(&told);
    handle.on_change(move |change| log.lock().unwrap().push(change.current.revision()));
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let reader = std::thread::spawn({
        let (handle, done) = (handle.clone(), Arc::clone(&done));
        move || {
            let mut newest = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let version = handle.current().expect("a read never fails");
                assert!(version.revision() >= newest);
                assert!(version.revision() == 1 || version.text() == Ok(&format!("v{}", version.slot())));
                newest = version.revision();
                std::thread::yield_now();
            }
        }
    });
    let mut revision = 1;
    for round in 0..8_u64 {
        for _ in 0..5 {
            revision += 1;
            watch.changes("e", revision, "a", &[(revision, &format!("v{revision}"))]);
        }
        until("the newest", || handle.current().unwrap().revision() == revision).await;
        match round % 4 {
            0 => watch.fail(Status::unavailable("x")),
            1 => drop(watch),
            2 => {
                // Half a change, then a cut: nothing of it may show.
                watch.send("e", revision + 1, slot("a", revision + 1, "never"));
                watch.fail(Status::unavailable("x"));
            }
            _ => {
                server.kill();
                server = Server::start_at(&socket);
            }
        }
        watch = server.watch().await;
        if round % 3 == 0 {
            // A server that fell behind, then one that has it all.
            whole(&watch, revision - 1);
            watch = server.watch().await;
            whole(&watch, revision);
        } else {
            watch.send("e", revision, progress());
        }
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    tokio::task::spawn_blocking(|| reader.join().expect("the reader saw nothing wrong")).await.unwrap();
    until("every change told", || told.lock().unwrap().last() == Some(&revision)).await;
    let expected: Vec<u64> = (2..=revision).collect();
    assert_eq!(*told.lock().unwrap(), expected);
    drop(set);
}
