//! The driver of `test/conformance/PROTOCOL.md` on the Rust client: JSON lines in, JSON lines out.

mod calls;
mod derive;
mod failure;
mod hammer;
mod request;
mod sets;

use std::collections::HashMap;

use secretslots::Client;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, stdin, stdout};

use crate::derive::Resources;
use crate::failure::{Answer, Failure};
use crate::request::Request;
use crate::sets::OpenSet;

#[derive(Default)]
struct Driver {
    clients: HashMap<String, Client>,
    sets: HashMap<String, OpenSet>,
    derived: HashMap<String, Resources>,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut driver = Driver::default();
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let request = Request::parse(&line);
        let mut answer = match driver.answer(&request).await {
            Ok(mut answer) => {
                answer["ok"] = true.into();
                answer
            }
            Err(failure) => json!({ "ok": false, "error": failure.to_json() }),
        };
        answer["id"] = request.id();
        stdout().write_all(format!("{answer}\n").as_bytes()).await?;
        stdout().flush().await?;
    }
    for set in driver.sets.values() {
        set.set.close().await;
    }
    Ok(())
}

impl Driver {
    async fn answer(&mut self, request: &Request) -> Answer {
        match request.op() {
            "hello" => Ok(json!({ "lang": "rust", "version": env!("CARGO_PKG_VERSION") })),
            "connect" => {
                self.clients.insert(request.text("client")?.into(), calls::connect(request)?);
                Ok(json!({}))
            }
            "closeClient" => {
                self.clients.remove(request.text("client")?);
                Ok(json!({}))
            }
            "open" => {
                let set = OpenSet::open(self.client(request)?, request).await?;
                self.sets.insert(request.text("set")?.into(), set);
                Ok(json!({}))
            }
            "fakeOpen" => {
                self.sets.insert(request.text("set")?.into(), OpenSet::fake(request)?);
                Ok(json!({}))
            }
            "derive" => {
                let resources = Resources::derive(self.set(request)?, request).await?;
                let value = resources.value();
                self.derived.insert(request.text("derived")?.into(), resources);
                Ok(json!({ "value": value }))
            }
            "derivedGet" => match self.derived.get(request.text("derived")?) {
                Some(resources) => resources.report(),
                None => Err(Failure::internal("no such derived value")),
            },
            "hammerStart" => self.set_mut(request)?.hammer_start(request),
            "hammerStop" => self.set_mut(request)?.hammer_stop(),
            "repr" => {
                let clients = self.clients.values().map(|client| format!("{client:?}"));
                let mut texts: Vec<Value> = clients.map(Value::from).collect();
                texts.extend(self.set(request)?.repr(request)?);
                Ok(json!({ "texts": texts }))
            }
            op if sets::OPS.contains(&op) => self.set(request)?.answer(request).await,
            op if calls::OPS.contains(&op) => calls::answer(self.client(request)?, request).await,
            op => Err(Failure::new("UNIMPLEMENTED", "", format!("no op {op}"))),
        }
    }

    fn client(&self, request: &Request) -> Result<&Client, Failure> {
        self.clients.get(request.text("client")?).ok_or_else(|| Failure::internal("no such client"))
    }

    fn set(&self, request: &Request) -> Result<&OpenSet, Failure> {
        self.sets.get(request.text("set")?).ok_or_else(|| Failure::internal("no such set"))
    }

    fn set_mut(&mut self, request: &Request) -> Result<&mut OpenSet, Failure> {
        self.sets.get_mut(request.text("set")?).ok_or_else(|| Failure::internal("no such set"))
    }
}
