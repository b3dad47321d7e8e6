//! Starting from the cache file while the server is down, and when it is overruled.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secretslots::{Client, Code, ConnectOptions, OpenOptions, Result, Set, View, reason};
use tokio::task::JoinHandle;
use tonic::Status;

use crate::server::{Server, begin, progress};
use crate::{soon, until};

const KEY: [u8; 32] = [1; 32];

fn opening(address: &str, names: &[&str], path: &Path) -> JoinHandle<Result<Set>> {
    opening_with(address, names, OpenOptions::new().cache(path, &KEY).timeout(Duration::from_secs(600)))
}

fn opening_with(address: &str, names: &[&str], options: OpenOptions) -> JoinHandle<Result<Set>> {
    let client = Client::connect(ConnectOptions::new(address)).unwrap();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    tokio::spawn(async move { client.open(names, options).await })
}

fn socket(cache: &Path) -> PathBuf {
    cache.with_extension("sock")
}

/// A server beside the cache file that gave `a` = {0: x} and `b` = {0: y}, and is in the file.
async fn cached(path: &Path) -> Server {
    let mut server = Server::start_at(&socket(path));
    let opening = opening(&server.address, &["a", "b"], path);
    let watch = server.watch().await;
    watch.state("e", 4, "a", &[(0, "x")]);
    watch.state("e", 5, "b", &[(0, "y")]);
    let set = soon(opening).await.unwrap().unwrap();
    assert!(path.exists(), "written before open returns");
    soon(set.close()).await;
    server
}

#[tokio::test]
async fn a_program_starts_while_the_server_is_down_and_is_stale_until_contact() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    let server = cached(&path).await;
    let address = &server.address.clone();
    server.kill();
    let set = soon(opening(address, &["a", "b"], &path)).await.unwrap().unwrap();
    let handle = set.handle("a").unwrap();
    assert_eq!((handle.current().unwrap().text(), set.is_stale(), set.age()), (Ok("x"), true, None));
    assert_eq!(handle.current().unwrap().create_time(), Some(std::time::SystemTime::UNIX_EPOCH));

    let mut server = Server::start_at(&socket(&path));
    let watch = server.watch().await;
    assert_eq!(watch.request.resume_token, "e/5");
    watch.send("e", 5, progress());
    until("contact", || !set.is_stale()).await;
    watch.changes("e", 6, "a", &[(1, "newer")]);
    until("the newer value", || handle.current().unwrap().text() == Ok("newer")).await;
    soon(set.close()).await;
    server.kill();
    let set = soon(opening(address, &["a", "b"], &path)).await.unwrap().unwrap();
    assert_eq!(set.handle("a").unwrap().current().unwrap().text(), Ok("newer"), "changes are written too");
}

#[tokio::test]
async fn a_server_that_says_no_is_not_overruled_by_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    let mut server = cached(&path).await;
    let opening = opening(&server.address, &["a", "b"], &path);
    server.watch().await.fail(Status::permission_denied("no"));
    assert_eq!(soon(opening).await.unwrap().unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn other_names_use_the_values_that_match_and_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    let server = cached(&path).await;
    let address = &server.address.clone();
    server.kill();
    let set = soon(opening(address, &["b"], &path)).await.unwrap().unwrap();
    assert_eq!(set.handle("b").unwrap().current().unwrap().text(), Ok("y"));
    let mut server = Server::start_at(&socket(&path));
    let watch = server.watch().await;
    assert_eq!(watch.request.resume_token, "");
    watch.send("e", 5, begin("b"));
    watch.changes("e", 5, "b", &[(0, "y")]);
    until("contact", || !set.is_stale()).await;
}

#[tokio::test]
async fn another_view_key_or_damage_means_no_cache_and_a_warning_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    let server = cached(&path).await;
    let address = &server.address.clone();
    server.kill();
    let brief = || OpenOptions::new().timeout(Duration::from_millis(300));
    let other_view = brief().cache(&path, &KEY).view(View::Current);
    let error = soon(opening_with(address, &["a", "b"], other_view)).await.unwrap().unwrap_err();
    assert_eq!(error.metadata()["missing"], "a,b");

    let warnings: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&warnings);
    let options = ConnectOptions::new(address);
    let options = options.on_warning(move |e| heard.lock().unwrap().push(e.reason().to_owned()));
    let client = Client::connect(options).unwrap();
    soon(client.open(["a"], brief().cache(&path, &[2; 32]))).await.unwrap_err();
    assert!(warnings.lock().unwrap().contains(&reason::CACHE_UNREADABLE.to_owned()));
}
