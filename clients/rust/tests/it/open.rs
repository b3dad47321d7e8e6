//! Opening a set: when it returns, and what ends it otherwise.

use std::time::Duration;

use secretslots::{Client, Code, ConnectOptions, OpenOptions, Result, Set, Token, reason};
use tokio::task::JoinHandle;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::server::{Server, absent, begin, synced};
use crate::soon;

fn client(server: &Server) -> Client {
    Client::connect(ConnectOptions::new(&server.address)).unwrap()
}

fn opening(client: &Client, names: &[&str], options: OpenOptions) -> JoinHandle<Result<Set>> {
    let (client, names) = (client.clone(), names.iter().map(ToString::to_string).collect::<Vec<_>>());
    tokio::spawn(async move { client.open(names, options).await })
}

/// Far above any stall of the machine.
fn patient() -> OpenOptions {
    OpenOptions::new().timeout(Duration::from_secs(600))
}

async fn failure(opening: JoinHandle<Result<Set>>) -> secretslots::Error {
    soon(opening).await.unwrap().unwrap_err()
}

#[tokio::test]
async fn open_returns_when_every_name_has_a_value() {
    let mut server = Server::start();
    let opening = opening(&client(&server), &["a", "b", "a"], patient());
    let watch = server.watch().await;
    assert_eq!(watch.request.names, ["a", "b"]);
    assert!(watch.request.allow_missing && watch.request.resume_token.is_empty());
    watch.send("e", 1, begin("b"));
    watch.send("e", 0, absent("b"));
    watch.state("e", 1, "a", &[(0, "x")]);
    tokio::task::yield_now().await;
    assert!(!opening.is_finished());
    watch.state("e", 2, "b", &[(0, "y")]);
    let set = soon(opening).await.unwrap().unwrap();
    assert_eq!(set.handle("b").unwrap().current().unwrap().text(), Ok("y"));
    assert_eq!(set.handle("c").unwrap_err().reason(), reason::NAME_NOT_DECLARED);
    assert!(!set.is_stale() && set.age().is_some());
}

#[tokio::test]
async fn a_timeout_leaves_no_stream() {
    let mut server = Server::start();
    let options = OpenOptions::new().timeout(Duration::from_millis(300));
    let error = failure(opening(&client(&server), &["z", "a"], options)).await;
    assert_eq!((error.code(), error.reason()), (Code::DeadlineExceeded, reason::SECRETS_MISSING));
    assert_eq!(error.metadata()["missing"], "z,a");
    // On a slow machine it may not even have come this far.
    if let Ok(watch) = server.watches.try_recv() {
        watch.left().await;
    }
}

#[tokio::test]
async fn without_contact_the_error_says_so() {
    let client = Client::connect(ConnectOptions::new("unix:/nonexistent/socket")).unwrap();
    let options = OpenOptions::new().timeout(Duration::from_secs(1));
    let error = failure(opening(&client, &["a"], options)).await;
    assert_eq!(error.metadata()["missing"], "a");
    assert!(error.message().contains("no contact"), "{error}");
}

#[tokio::test]
async fn the_servers_no_ends_it_at_once() {
    let denied = Status::permission_denied("no");
    for status in [denied, Status::invalid_argument("no"), Status::unimplemented("no")] {
        let mut server = Server::start();
        let opening = opening(&client(&server), &["a"], patient());
        let code = status.code();
        server.watch().await.fail(status);
        let error = failure(opening).await;
        assert_eq!(error.code().as_str().replace('_', ""), format!("{code:?}").to_uppercase());
    }
}

#[tokio::test]
async fn a_refused_token_is_read_again_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, " old\n").unwrap();
    let mut server = Server::start();
    let options = ConnectOptions::new(&server.address).token(Token::file(&path));
    let client = Client::connect(options).unwrap();
    let set = opening(&client, &["a"], patient());
    let first = server.watch().await;
    assert_eq!(first.bearer, "Bearer old");
    std::fs::write(&path, "new").unwrap();
    first.fail(Status::unauthenticated("no"));
    let second = server.watch().await;
    assert_eq!(second.bearer, "Bearer new");
    second.state("e", 1, "a", &[(0, "x")]);
    soon(set).await.unwrap().unwrap();

    let refused = opening(&client, &["a"], patient());
    server.watch().await.fail(Status::unauthenticated("no"));
    server.watch().await.fail(Status::unauthenticated("no"));
    assert_eq!(failure(refused).await.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_bad_resume_token_is_forgotten_not_fatal() {
    let mut server = Server::start();
    let opening = opening(&client(&server), &["a"], patient());
    let details = ErrorDetails::with_error_info("BAD_RESUME_TOKEN", "secretslots", []);
    server.watch().await.fail(Status::with_error_details(tonic::Code::InvalidArgument, "no", details));
    let watch = server.watch().await;
    watch.state("e", 1, "a", &[(0, "x")]);
    soon(opening).await.unwrap().unwrap();
}

#[tokio::test]
async fn dropping_the_future_or_the_last_handle_leaves_no_stream() {
    let mut server = Server::start();
    let abandoned = opening(&client(&server), &["a"], patient());
    let watch = server.watch().await;
    abandoned.abort();
    watch.left().await;

    let opening = opening(&client(&server), &["a"], patient());
    let watch = server.watch().await;
    watch.state("e", 1, "a", &[(0, "x")]);
    let handle = soon(opening).await.unwrap().unwrap().handle("a").unwrap();
    watch.changes("e", 2, "a", &[(1, "y")]);
    crate::until("a handle alone keeps its stream", || handle.current().unwrap().slot() == 1).await;
    drop(handle);
    watch.left().await;
}

#[tokio::test]
async fn closing_twice_is_closing_once_and_handles_still_answer() {
    let mut server = Server::start();
    let opening = opening(&client(&server), &["a"], patient());
    let watch = server.watch().await;
    watch.state("e", 1, "a", &[(0, "x")]);
    let set = soon(opening).await.unwrap().unwrap();
    let handle = set.handle("a").unwrap();
    soon(set.close()).await;
    soon(set.close()).await;
    watch.left().await;
    assert_eq!(handle.current().unwrap().text(), Ok("x"));
    watch.send("e", 2, synced());
}

#[tokio::test]
async fn wrong_arguments_never_reach_the_server() {
    let mut server = Server::start();
    let client = client(&server);
    let many: Vec<String> = (0..1_001).map(|i| format!("n{i}")).collect();
    assert_eq!(client.open(many, patient()).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(client.open(["a/../b"], patient()).await.unwrap_err().code(), Code::InvalidArgument);
    let short_key = OpenOptions::new().cache("cache", &[0; 16]);
    assert_eq!(client.open(["a"], short_key).await.unwrap_err().code(), Code::InvalidArgument);
    assert!(server.watches.try_recv().is_err());
}
