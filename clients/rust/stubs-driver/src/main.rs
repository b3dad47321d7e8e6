//! A conformance driver on the generated stubs and stock tonic: what any Rust program can do without our client.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secretslots_stubs::v1::{self, secret_service_client::SecretServiceClient};
use serde_json::{Value, json};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

type Answer = Result<Value, Value>;

struct Client {
    service: SecretServiceClient<Channel>,
    bearer: Option<String>,
}

#[tokio::main]
async fn main() {
    let mut clients: HashMap<String, Client> = HashMap::new();
    for line in std::io::stdin().lines() {
        let request: Value = serde_json::from_str(&line.expect("standard input is readable")).unwrap_or_default();
        let mut answer = match answer(&mut clients, &request).await {
            Ok(mut answer) => {
                answer["ok"] = true.into();
                answer
            }
            Err(error) => json!({ "ok": false, "error": error }),
        };
        answer["id"] = request["id"].clone();
        println!("{answer}");
    }
}

async fn answer(clients: &mut HashMap<String, Client>, request: &Value) -> Answer {
    let key = text(request, "client");
    match text(request, "op").as_str() {
        "hello" => return Ok(json!({ "lang": "rust-stubs", "version": env!("CARGO_PKG_VERSION") })),
        "connect" => {
            clients.insert(key, connect(request)?);
            return Ok(json!({}));
        }
        "closeClient" => {
            clients.remove(&key);
            return Ok(json!({}));
        }
        _ => {}
    }
    let client = clients.get_mut(&key).ok_or_else(|| failure("INTERNAL", "", "no such client"))?;
    client.call(request).await
}

fn connect(request: &Value) -> Result<Client, Value> {
    let endpoint = Endpoint::from_shared(format!("http://{}", text(request, "address")));
    let endpoint = endpoint.map_err(|error| failure("INVALID_ARGUMENT", "", &error.to_string()))?;
    let token = match request["tokenFile"].as_str() {
        Some(path) => std::fs::read_to_string(path).ok(),
        None => request["token"].as_str().map(Into::into),
    };
    let service = SecretServiceClient::new(endpoint.connect_lazy());
    Ok(Client { service, bearer: token.map(|token| format!("Bearer {}", token.trim())) })
}

impl Client {
    fn request<Q>(&self, message: Q) -> Request<Q> {
        let mut request = Request::new(message);
        request.set_timeout(Duration::from_secs(5));
        if let Some(bearer) = self.bearer.as_deref().and_then(|bearer| bearer.parse().ok()) {
            request.metadata_mut().insert("authorization", bearer);
        }
        request
    }

    async fn call(&mut self, request: &Value) -> Answer {
        let name = text(request, "name");
        let slot = number(request, "slot")?;
        let (etag, request_id) = (text(request, "etag"), text(request, "requestId"));
        match text(request, "op").as_str() {
            "get" => {
                let message = self.request(v1::GetSecretRequest { name });
                let got = self.service.get_secret(message).await.map_err(status)?.into_inner();
                let slot = got.slot().to_string();
                Ok(version(&got.name, &slot, &got.value, got.revision, &got.epoch))
            }
            "at" => {
                let message = self.request(v1::GetEffectiveAtRequest { name, at: number(request, "at")? });
                let got = self.service.get_effective_at(message).await.map_err(status)?.into_inner();
                let slot = got.slot().to_string();
                let mut answer = version(&got.name, &slot, &got.value, got.revision, &got.epoch);
                answer["at"] = got.at().to_string().into();
                Ok(answer)
            }
            "put" => self.put(request, name, slot).await,
            "disable" => {
                let message = self.request(v1::DisableSlotRequest { name, slot, etag, request_id });
                let done = self.service.disable_slot(message).await.map_err(status)?.into_inner();
                Ok(changed(done.slot, done.revision))
            }
            "enable" => {
                let message = self.request(v1::EnableSlotRequest { name, slot, etag, request_id });
                let done = self.service.enable_slot(message).await.map_err(status)?.into_inner();
                Ok(changed(done.slot, done.revision))
            }
            "destroy" => {
                let message = self.request(v1::DestroySlotRequest { name, slot, etag, request_id });
                let done = self.service.destroy_slot(message).await.map_err(status)?.into_inner();
                Ok(changed(done.slot, done.revision))
            }
            "delete" => {
                let message = self.request(v1::DeleteSecretRequest { name, etag, request_id });
                let done = self.service.delete_secret(message).await.map_err(status)?.into_inner();
                Ok(json!({ "revision": done.revision.to_string() }))
            }
            op => Err(failure("UNIMPLEMENTED", "", &format!("no op {op}"))),
        }
    }

    async fn put(&mut self, request: &Value, name: String, slot: Option<u64>) -> Answer {
        let auto_slot = match request["autoSlot"].as_str() {
            Some("NEXT_INDEX") => v1::AutoSlot::NextIndex,
            Some("NOW") => v1::AutoSlot::Now,
            _ => v1::AutoSlot::Unspecified,
        };
        let initial_state = match request["initialState"].as_str() {
            Some("DISABLED") => v1::SlotState::Disabled,
            _ => v1::SlotState::Unspecified,
        };
        let message = self.request(v1::PutSlotRequest {
            name,
            slot,
            auto_slot: auto_slot.into(),
            value: request["value"].as_str().and_then(|value| BASE64.decode(value).ok()),
            crc32c: None,
            overwrite: request["overwrite"].as_bool().unwrap_or_default(),
            expected_revision: number(request, "expectedRevision")?,
            request_id: text(request, "requestId"),
            initial_state: initial_state.into(),
        });
        let put = self.service.put_slot(message).await.map_err(status)?.into_inner();
        Ok(json!({
            "slot": put.slot().to_string(),
            "state": word(put.state()),
            "revision": put.revision.to_string(),
            "created": put.created,
            "currentSlot": put.current_slot.map(|slot| slot.to_string()),
            "epoch": put.epoch,
        }))
    }
}

fn version(name: &str, slot: &str, value: &[u8], revision: u64, epoch: &str) -> Value {
    let (value, revision) = (BASE64.encode(value), revision.to_string());
    json!({ "name": name, "slot": slot, "value": value, "revision": revision, "epoch": epoch })
}

fn changed(slot: Option<v1::SlotMetadata>, revision: u64) -> Value {
    let slot = slot.unwrap_or_default();
    json!({ "slot": slot.slot().to_string(), "state": word(slot.state()), "revision": revision.to_string() })
}

fn word(state: v1::SlotState) -> &'static str {
    state.as_str_name().trim_start_matches("SLOT_STATE_")
}

fn text(request: &Value, key: &str) -> String {
    request[key].as_str().unwrap_or_default().to_owned()
}

/// What no `u64` can hold, Rust's type system refuses before any call.
fn number(request: &Value, key: &str) -> Result<Option<u64>, Value> {
    let parsed = request[key].as_str().map(str::parse).transpose();
    parsed.map_err(|_| failure("INVALID_ARGUMENT", "INVALID_FIELD", &format!("{key}: must be 0 to 2^63-1")))
}

fn failure(code: &str, reason: &str, message: &str) -> Value {
    json!({ "code": code, "reason": reason, "message": message, "metadata": {} })
}

fn status(status: Status) -> Value {
    let info = status.get_details_error_info();
    let reason = info.as_ref().map_or("", |info| info.reason.as_str());
    let mut error = failure(&canonical(status.code()), reason, status.message());
    error["metadata"] = json!(info.as_ref().map(|info| &info.metadata));
    error
}

/// `NotFound` → `NOT_FOUND`.
fn canonical(code: tonic::Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
