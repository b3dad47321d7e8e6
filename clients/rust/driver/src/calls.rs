//! Ops that are unary calls.

use std::collections::BTreeMap;
use std::time::Duration;

use secretslots::{Client, ConnectOptions, Mutation, PutSlot, Tls, Token, Update, Version, v1};
use serde_json::{Value, json};

use crate::failure::{Answer, Failure};
use crate::request::{Request, base64};

pub const OPS: &[&str] = &[
    "get",
    "at",
    "put",
    "disable",
    "enable",
    "destroy",
    "delete",
    "describe",
    "update",
    "list",
    "listSlots",
    "info",
];

pub fn connect(request: &Request) -> Result<Client, Failure> {
    let token = match (request.text_or_none("token"), request.text_or_none("tokenFile")) {
        (Some(token), _) => Token::value(token),
        (None, Some(path)) => Token::file(path),
        (None, None) => Token::none(),
    };
    let mut options = ConnectOptions::new(request.text("address")?).token(token);
    options = options.allow_plaintext(request.flag("allowPlaintext"));
    if let Some(milliseconds) = request.number_or_none("timeoutMs")? {
        options = options.timeout(Duration::from_millis(milliseconds));
    }
    if let Some(attempts) = request.number_or_none("maxAttempts")? {
        options = options.max_attempts(u32::try_from(attempts).unwrap_or(u32::MAX));
    }
    let (ca, cert, key) = (request.text_or_none("ca"), request.text_or_none("cert"), request.text_or_none("key"));
    if ca.is_some() || cert.is_some() {
        let mut tls = Tls::new();
        if let Some(ca) = ca {
            tls = tls.ca(ca);
        }
        if let (Some(cert), Some(key)) = (cert, key) {
            tls = tls.identity(cert, key);
        }
        options = options.tls(tls);
    }
    Ok(Client::connect(options)?)
}

pub async fn answer(client: &Client, request: &Request) -> Answer {
    match request.op() {
        "get" => Ok(version(&client.get_secret(request.text("name")?).await?)),
        "at" => {
            let resolved = client.get_effective_at(request.text("name")?, request.number_or_none("at")?).await?;
            let mut answer = version(&resolved);
            answer["at"] = resolved.at().map(|at| at.to_string()).into();
            Ok(answer)
        }
        "put" => put(client, request).await,
        "disable" => {
            let (name, slot, with) = slot_arguments(request)?;
            let answer = client.disable_slot(name, slot, with).await?;
            Ok(slot_answer(answer.slot, answer.revision))
        }
        "enable" => {
            let (name, slot, with) = slot_arguments(request)?;
            let answer = client.enable_slot(name, slot, with).await?;
            Ok(slot_answer(answer.slot, answer.revision))
        }
        "destroy" => {
            let (name, slot, with) = slot_arguments(request)?;
            let answer = client.destroy_slot(name, slot, with).await?;
            Ok(slot_answer(answer.slot, answer.revision))
        }
        "delete" => {
            let answer = client.delete_secret(request.text("name")?, mutation(request)).await?;
            Ok(json!({ "revision": answer.revision.to_string() }))
        }
        "describe" => Ok(description(client.describe_secret(request.text("name")?).await?)),
        "update" => update(client, request).await,
        "list" => {
            let prefix = request.text_or_none("prefix").unwrap_or_default();
            let secrets = client.all_secrets(prefix, page_size(request)?).collect().await?;
            let names: Vec<String> = secrets.into_iter().map(|secret| secret.name).collect();
            Ok(json!({ "names": names }))
        }
        "listSlots" => {
            let slots = client.all_slots(request.text("name")?, page_size(request)?).collect().await?;
            let shown = |slot: &v1::SlotMetadata| {
                json!({
                    "slot": slot.slot().to_string(),
                    "state": state(slot.state()),
                    "revision": slot.revision.to_string(),
                    "size": slot.size.to_string(),
                })
            };
            Ok(json!({ "slots": slots.iter().map(shown).collect::<Vec<_>>() }))
        }
        "info" => {
            let info = client.get_server_info().await?;
            let revision = info.revision.to_string();
            Ok(json!({ "version": info.version, "epoch": info.epoch, "revision": revision }))
        }
        op => Err(Failure::internal(format!("{op} is no call"))),
    }
}

pub fn version(version: &Version) -> Value {
    json!({
        "name": version.name(),
        "slot": version.slot().to_string(),
        "value": base64(version.bytes()),
        "revision": version.revision().to_string(),
        "epoch": version.epoch(),
    })
}

async fn put(client: &Client, request: &Request) -> Answer {
    let name = request.text("name")?;
    // A value, and exactly one of slot and autoSlot: this language's callers can't leave it out.
    let value = request.value_or_none("value")?.ok_or_else(|| Failure::invalid("value", "must be given"))?;
    let mut put = match (request.number_or_none("slot")?, request.text_or_none("autoSlot")) {
        (Some(slot), None) => PutSlot::at_slot(name, slot, value),
        (None, Some("NEXT_INDEX")) => PutSlot::at_next_index(name, value),
        (None, Some("NOW")) => PutSlot::at_now(name, value),
        _ => return Err(Failure::invalid("slot", "give exactly one of slot and auto_slot")),
    };
    put = put.overwrite(request.flag("overwrite"));
    if let Some(revision) = request.number_or_none("expectedRevision")? {
        put = put.expected_revision(revision);
    }
    if let Some(id) = request.text_or_none("requestId") {
        put = put.request_id(id);
    }
    if request.text_or_none("initialState") == Some("DISABLED") {
        put = put.disabled();
    }
    let answer = client.put_slot(put).await?;
    Ok(json!({
        "slot": answer.slot().to_string(),
        "state": state(answer.state()),
        "revision": answer.revision.to_string(),
        "created": answer.created,
        "currentSlot": answer.current_slot.map(|slot| slot.to_string()),
        "epoch": answer.epoch,
    }))
}

async fn update(client: &Client, request: &Request) -> Answer {
    let labels = request.member("labels").as_object().map(|labels| {
        let pair = |(key, value): (&String, &Value)| (key.clone(), value.as_str().unwrap_or_default().to_owned());
        labels.iter().map(pair).collect::<BTreeMap<_, _>>()
    });
    let update = Update { comment: request.text_or_none("comment").map(Into::into), labels };
    let answer = client.update_secret(request.text("name")?, update, mutation(request)).await?;
    Ok(description(v1::DescribeSecretResponse {
        name: answer.name,
        comment: answer.comment,
        labels: answer.labels,
        etag: answer.etag,
        revision: answer.revision,
        slot_count: answer.slot_count,
        enabled_count: answer.enabled_count,
        current_slot: answer.current_slot,
        ..Default::default()
    }))
}

fn description(of: v1::DescribeSecretResponse) -> Value {
    json!({
        "name": of.name,
        "comment": of.comment,
        "labels": of.labels,
        "etag": of.etag,
        "revision": of.revision.to_string(),
        "slotCount": of.slot_count.to_string(),
        "enabledCount": of.enabled_count.to_string(),
        "currentSlot": of.current_slot.map(|slot| slot.to_string()),
    })
}

fn slot_arguments(request: &Request) -> Result<(&str, u64, Mutation), Failure> {
    Ok((request.text("name")?, request.number("slot")?, mutation(request)))
}

fn mutation(request: &Request) -> Mutation {
    let text = |key| request.text_or_none(key).unwrap_or_default().to_owned();
    Mutation { etag: text("etag"), request_id: text("requestId") }
}

fn slot_answer(slot: Option<v1::SlotMetadata>, revision: u64) -> Value {
    let slot = slot.unwrap_or_default();
    json!({ "slot": slot.slot().to_string(), "state": state(slot.state()), "revision": revision.to_string() })
}

fn state(state: v1::SlotState) -> &'static str {
    state.as_str_name().trim_start_matches("SLOT_STATE_")
}

fn page_size(request: &Request) -> Result<i32, Failure> {
    let text = request.text_or_none("pageSize").unwrap_or("0");
    text.parse().map_err(|_| Failure::invalid("page_size", "must be a number"))
}
