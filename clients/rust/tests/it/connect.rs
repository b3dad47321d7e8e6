//! What `connect` refuses, and what nothing prints.

use secretslots::{Client, Code, ConnectOptions, OpenOptions, Tls, Token, reason};

#[test]
fn a_token_is_not_sent_in_the_clear_to_another_machine() {
    let with_token = |address: &str| ConnectOptions::new(address).token(Token::value("t"));
    let error = Client::connect(with_token("slots.example:50051")).unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::InvalidArgument, reason::PLAINTEXT_REFUSED));
    Client::connect(with_token("slots.example:50051").allow_plaintext(true)).unwrap();
    Client::connect(with_token("slots.example:50051").tls(Tls::new())).unwrap();
    Client::connect(ConnectOptions::new("slots.example:50051")).unwrap();
    for local in ["localhost:1", "127.1.2.3:1", "[::1]:1", "unix:/run/slots.sock"] {
        Client::connect(with_token(local)).unwrap();
    }
}

#[test]
fn an_ill_formed_address_is_refused() {
    for address in ["", "slots", "http://slots:1", "slots:99999"] {
        assert_eq!(Client::connect(ConnectOptions::new(address)).unwrap_err().code(), Code::InvalidArgument);
    }
}

#[test]
fn tokens_and_cache_keys_do_not_print() {
    let options = ConnectOptions::new("localhost:1").token(Token::value("hunter2"));
    let client = Client::connect(options.clone()).unwrap();
    let cache = OpenOptions::new().cache("file", b"hunter2hunter2hunter2hunter2hunt");
    let texts = format!("{options:?} {client:?} {cache:?} {cache:#?} {:?}", Token::value("hunter2"));
    assert!(!texts.contains("hunter2") && !texts.contains("104, 117, 110"), "{texts}");
}
