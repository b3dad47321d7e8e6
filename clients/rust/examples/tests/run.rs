//! Each example against a real server while its secret rotates.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use secretslots::{Client, ConnectOptions, PutSlot, Token};

/// Everything here waits for a line; the bound is only there so that a failure is one.
const BOUND: Duration = Duration::from_secs(60);

/// A child process whose output is waited for.
struct Program {
    child: Child,
    lines: Receiver<String>,
}

impl Program {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    /// What follows this text in the next line that begins with it.
    fn wait_for(&self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(BOUND).unwrap_or_else(|_| panic!("no line begins with {text:?}"));
            if let Some(rest) = line.strip_prefix(text) {
                return rest.to_owned();
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Server {
    address: String,
    client: Client,
    token_file: std::path::PathBuf,
    _program: Program,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
        let path = format!("{}:{}", root.join("node_modules/.bin").display(), env!("PATH"));
        let mut command = Command::new("node");
        command.env("PATH", path).arg(root.join("bin/slots.js")).args(["serve", "--listen", "127.0.0.1:0"]);
        let program = Program::start(command.arg("--data-dir").arg(&data));
        let address = program.wait_for("listening on ");
        let token_file = data.join("admin.token");
        let client = Client::connect(ConnectOptions::new(&address).token(Token::file(&token_file)));
        let client = client.expect("loopback").with_timeout(BOUND);
        Self { address, client, token_file, _program: program, _folder: folder }
    }

    async fn put(&self, name: &str, slot: u64, value: &str) {
        self.client.put_slot(PutSlot::at_slot(name, slot, value)).await.expect("a put");
    }

    fn run(&self, example: &str) -> Program {
        let mut command = Command::new(example);
        command.env("SLOTS_ADDRESS", &self.address).env("SLOTS_TOKEN_FILE", &self.token_file);
        Program::start(command.env("LISTEN", "127.0.0.1:0"))
    }
}

/// Status and body.
fn http(url: &str, method: &str, path: &str, token: &str) -> (String, String) {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).expect("it serves");
    let authorization = format!("authorization: Bearer {token}\r\n");
    let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{authorization}\r\n");
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head.split(' ').nth(1).expect("a status").to_owned(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_follows_its_secret() {
    let server = Server::start();
    server.put("app/db", 0, "first").await;
    server.put("app/jwt-key", 0, "first key").await;

    let five = server.run(env!("CARGO_BIN_EXE_five_lines"));
    assert_eq!(
        (five.wait_for("current: slot "), five.wait_for("effective at 3: slot ")),
        ("0".into(), "0".into())
    );
    let pool = server.run(env!("CARGO_BIN_EXE_pool_swap"));
    pool.wait_for("queried with the password of slot 0");
    let service = server.run(env!("CARGO_BIN_EXE_jwt_service"));
    let url = service.wait_for("serving on ");
    let (status, old) = http(&url, "POST", "/login/ann", "");
    assert_eq!(status, "200");

    server.put("app/db", 5, "second").await;
    let shown = five.wait_for("changed: ");
    assert!(shown.contains("number: 5") && shown.contains("[secret]") && !shown.contains("second"), "{shown}");
    pool.wait_for("closing the pool of slot 0");
    pool.wait_for("queried with the password of slot 5");

    server.put("app/jwt-key", 7, "second key").await;
    // Until the service has heard of it.
    let begun = std::time::Instant::now();
    let new = loop {
        let (_, token) = http(&url, "POST", "/login/ann", "");
        if token.split('.').next() != old.split('.').next() {
            break token;
        }
        assert!(begun.elapsed() < BOUND);
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    for token in [&old, &new] {
        let (status, body) = http(&url, "GET", "/me", token);
        assert!(status == "200" && body.contains("\"ann\""), "{status} {body}");
    }
    assert_eq!(http(&url, "GET", "/me", &format!("{new}x")).0, "401");
}
