//! TLS and mTLS, and files that change under way.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use secretslots::{Client, Code, ConnectOptions, OpenOptions, Tls};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::server::Server;
use crate::{BOUND, soon, until};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    fn server(&self, clients: Option<&Self>) -> Server {
        let (cert, key) = self.issue("localhost");
        let config = ServerTlsConfig::new().identity(Identity::from_pem(cert, key));
        Server::start_tls(match clients {
            Some(clients) => config.client_ca_root(Certificate::from_pem(clients.pem())),
            None => config,
        })
    }
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

fn client(server: &Server, tls: Tls) -> Client {
    let address = format!("localhost:{}", server.port());
    Client::connect(ConnectOptions::new(address).tls(tls).max_attempts(1)).unwrap()
}

#[tokio::test]
async fn a_server_is_trusted_by_its_authority_and_name_alone() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    let ca = write(folder.path(), "ca.pem", &authority.pem());
    let server = authority.server(None);
    soon(client(&server, Tls::new().ca(&ca)).get_secret("a")).await.unwrap();
    let other_name = Tls::new().ca(&ca).server_name("slots.example");
    assert_eq!(soon(client(&server, other_name).get_secret("a")).await.unwrap_err().code(), Code::Unavailable);
    let other = write(folder.path(), "other.pem", &stranger.pem());
    let error = soon(client(&server, Tls::new().ca(other)).get_secret("a")).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.message().contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_stream_connects_again_with_the_certificate_of_that_moment() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    let ca = write(folder.path(), "ca.pem", &authority.pem());
    let (cert, key) = Authority::new().issue("stranger");
    let (cert, key) = (write(folder.path(), "cert.pem", &cert), write(folder.path(), "key.pem", &key));
    let mut server = authority.server(Some(&clients));
    let (refused, refusal) = std::sync::mpsc::channel();
    let options = ConnectOptions::new(format!("localhost:{}", server.port()))
        .tls(Tls::new().ca(&ca).identity(&cert, &key))
        .on_warning(move |error| _ = refused.send(error.code()));
    let client = Client::connect(options).unwrap();
    let patient = OpenOptions::new().timeout(Duration::from_secs(600));
    let opening = tokio::spawn(async move { client.open(["a"], patient).await });
    let refusal = tokio::task::spawn_blocking(move || refusal.recv_timeout(BOUND)).await.unwrap();
    assert_eq!(refusal, Ok(Code::Unavailable), "the server does not know the stranger");

    let (good_cert, good_key) = clients.issue("first");
    fs::write(&cert, good_cert).unwrap();
    fs::write(&key, good_key).unwrap();
    let watch = server.watch().await;
    watch.state("e", 1, "a", &[(0, "x")]);
    let set = soon(opening).await.unwrap().unwrap();

    // A key that does not fit leaves the last good pair in place.
    fs::write(&key, clients.issue("second").1).unwrap();
    drop(watch);
    let watch = server.watch().await;
    watch.changes("e", 2, "a", &[(1, "y")]);
    let handle = set.handle("a").unwrap();
    until("the newer value", || handle.current().unwrap().slot() == 1).await;
}

#[tokio::test]
async fn files_that_never_loaded_are_an_error_that_names_them() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let server = authority.server(None);
    for ca in [folder.path().join("missing.pem"), write(folder.path(), "empty.pem", "nothing here")] {
        let error = soon(client(&server, Tls::new().ca(ca)).get_secret("a")).await.unwrap_err();
        assert_eq!((error.code(), error.metadata()["field"].as_str()), (Code::InvalidArgument, "tls"));
    }
}
