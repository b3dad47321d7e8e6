//! Unary calls: what is retried, for how long, and with which token.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use secretslots::{Client, Code, ConnectOptions, Mutation, PutSlot, Token, reason};
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::server::{Server, crc32c};
use crate::soon;

fn client(server: &Server) -> Client {
    Client::connect(ConnectOptions::new(&server.address).timeout(Duration::from_secs(15))).unwrap()
}

#[tokio::test]
async fn get_secret_gives_a_version() {
    let server = Server::start();
    let version = soon(client(&server).get_secret("app/db")).await.unwrap();
    assert_eq!((version.name(), version.slot(), version.text()), ("app/db", 5, Ok("value")));
    assert_eq!((version.revision(), version.epoch(), version.at()), (7, "e", None));
}

#[tokio::test]
async fn unavailable_is_retried_and_a_mutation_keeps_its_request_id() {
    let server = Server::start();
    server.calls.fail([Status::unavailable("1"), Status::unavailable("2")]);
    soon(client(&server).put_slot(PutSlot::at_slot("a", 5, "secret"))).await.unwrap();
    let puts = server.calls.puts();
    assert_eq!(puts.len(), 3);
    assert!(puts.iter().all(|put| put.request_id == puts[0].request_id));
    assert!(puts[0].request_id.len() == 32 && puts[0].request_id.bytes().all(|b| b.is_ascii_hexdigit()));
    assert_eq!(puts[0].crc32c, Some(crc32c(b"secret")));
}

#[tokio::test]
async fn attempts_are_bounded_and_nothing_else_is_retried() {
    let server = Server::start();
    server.calls.fail((0..9).map(|_| Status::unavailable("x")));
    let error = soon(client(&server).get_secret("a")).await.unwrap_err();
    assert_eq!((error.code(), server.calls.bearers().len()), (Code::Unavailable, 5));

    let server = Server::start();
    for status in [Status::internal("x"), Status::aborted("x"), Status::resource_exhausted("x")] {
        server.calls.fail([status]);
        soon(client(&server).get_secret("a")).await.unwrap_err();
    }
    assert_eq!(server.calls.bearers().len(), 3);
}

#[tokio::test]
async fn the_last_error_comes_back_when_the_deadline_has_no_room_for_the_wait() {
    let server = Server::start();
    let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(600)));
    server.calls.fail([Status::with_error_details(tonic::Code::Unavailable, "busy", details)]);
    let error = soon(client(&server).get_secret("a")).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::Unavailable, "busy"));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(600)));
    assert_eq!(server.calls.bearers().len(), 1);
}

#[tokio::test]
async fn a_call_without_an_answer_ends_at_its_deadline() {
    let server = Server::start();
    server.calls.stall();
    let hasty = client(&server).with_timeout(Duration::from_millis(100));
    let error = soon(hasty.get_secret("a")).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::DeadlineExceeded, reason::DEADLINE_EXCEEDED));
}

#[tokio::test]
async fn the_servers_reason_and_metadata_come_through() {
    let server = Server::start();
    let details =
        ErrorDetails::with_error_info("SLOT_EXISTS", "secretslots", [("slot".to_owned(), "5".to_owned())]);
    server.calls.fail([Status::with_error_details(tonic::Code::AlreadyExists, "taken", details)]);
    let error = soon(client(&server).put_slot(PutSlot::at_slot("a", 5, "x"))).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::AlreadyExists, "SLOT_EXISTS"));
    assert_eq!(error.metadata()["slot"], "5");
    assert_eq!(error.to_string(), "ALREADY_EXISTS: taken (SLOT_EXISTS)");
}

#[tokio::test]
async fn a_refused_token_is_asked_for_again_and_tried_once_if_it_changed() {
    let server = Server::start();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let ask = move || {
        let n = count.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, std::io::Error>(format!("t{}", n.min(3))) }
    };
    let client = Client::connect(ConnectOptions::new(&server.address).token(Token::callback(ask))).unwrap();
    server.calls.fail([Status::unauthenticated("no")]);
    soon(client.get_secret("a")).await.unwrap();
    assert_eq!(server.calls.bearers(), ["Bearer t0", "Bearer t1"]);

    server.calls.fail([Status::unauthenticated("no"), Status::unauthenticated("no")]);
    assert_eq!(soon(client.get_secret("a")).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(server.calls.bearers()[2..], ["Bearer t2", "Bearer t3"]);

    server.calls.fail([Status::unauthenticated("no")]);
    soon(client.get_secret("a")).await.unwrap_err();
    assert_eq!(server.calls.bearers().len(), 5, "the same token is not tried twice");
}

#[tokio::test]
async fn a_token_file_is_followed_and_its_last_good_content_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, " old\n").unwrap();
    let server = Server::start();
    let options = ConnectOptions::new(&server.address).token(Token::file(&path));
    let client = Client::connect(options).unwrap();
    soon(client.get_secret("a")).await.unwrap();
    assert_eq!(server.calls.bearers(), ["Bearer old"]);
    std::fs::write(&path, "new").unwrap();
    while server.calls.bearers().last().unwrap() != "Bearer new" {
        soon(client.get_secret("a")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    std::fs::remove_file(&path).unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    soon(client.get_secret("a")).await.expect("the last good token is used");
}

#[tokio::test]
async fn a_token_that_was_never_readable_is_unauthenticated() {
    let server = Server::start();
    let of = |token| Client::connect(ConnectOptions::new(&server.address).token(token)).unwrap();
    for token in [
        Token::file("/nonexistent/token"),
        Token::value("  "),
        Token::value("line\nbreak"),
        Token::callback(|| async { Err::<String, _>("the vault is closed") }),
    ] {
        let error = soon(of(token).get_secret("a")).await.unwrap_err();
        assert_eq!((error.code(), error.reason()), (Code::Unauthenticated, reason::TOKEN_UNREADABLE));
    }
    soon(of(Token::callback(|| async { Ok::<_, std::io::Error>("asked".into()) })).get_secret("a")).await.unwrap();
    assert_eq!(server.calls.bearers(), ["Bearer asked"]);
}

#[tokio::test]
async fn a_damaged_value_is_data_loss() {
    let server = Server::start();
    server.calls.damage();
    let error = soon(client(&server).get_secret("a")).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::DataLoss, reason::DATA_LOSS));
}

#[tokio::test]
async fn lists_go_over_all_pages() {
    let server = Server::start();
    let all = soon(client(&server).all_secrets("", 2).collect()).await.unwrap();
    assert_eq!(all.iter().map(|secret| secret.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[tokio::test]
async fn numbers_and_names_are_checked_before_anything_is_sent() {
    let server = Server::start();
    let client = client(&server);
    let beyond = secretslots::MAX_NUMBER + 1;
    let invalid = |error: secretslots::Error| assert_eq!(error.code(), Code::InvalidArgument);
    invalid(client.get_effective_at("a", beyond).await.unwrap_err());
    invalid(client.put_slot(PutSlot::at_slot("a", beyond, "x")).await.unwrap_err());
    invalid(client.disable_slot("a", beyond, Mutation::default()).await.unwrap_err());
    invalid(client.get_secret("a//b").await.unwrap_err());
    assert!(server.calls.bearers().is_empty());
}
