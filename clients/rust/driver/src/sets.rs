//! Ops on an open set and its handles.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use secretslots::{Change, Client, Error, Fake, FakeSlots, Handle, OpenOptions, Set, State, Version, View};
use serde_json::{Value, json};

use crate::calls::version;
use crate::failure::{Answer, Failure};
use crate::hammer::Hammer;
use crate::request::{Request, base64, number, unbase64};

pub const OPS: &[&str] = &[
    "current",
    "effectiveAt",
    "acceptable",
    "age",
    "stale",
    "waitFor",
    "changes",
    "bench",
    "closeSet",
    "fakeRotate",
];

type Log = Arc<Mutex<Vec<Value>>>;

pub struct OpenSet {
    pub set: Set,
    fake: Option<Fake>,
    changes: HashMap<String, Log>,
    hammer: Option<Hammer>,
}

impl OpenSet {
    pub async fn open(client: &Client, request: &Request) -> Result<Self, Failure> {
        let mut options = OpenOptions::new();
        if let Some(milliseconds) = request.number_or_none("timeoutMs")? {
            options = options.timeout(Duration::from_millis(milliseconds));
        }
        if request.text_or_none("view") == Some("CURRENT") {
            options = options.view(View::Current);
        }
        if let Some(path) = request.text_or_none("cachePath") {
            options = options.cache(path, &request.value_or_none("cacheKey")?.unwrap_or_default());
        }
        let set = client.open(request.texts("names"), options).await?;
        Self::subscribed(set, None, request)
    }

    pub fn fake(request: &Request) -> Result<Self, Failure> {
        let mut secrets: HashMap<String, FakeSlots> = HashMap::new();
        for (name, slots) in request.member("secrets").as_object().into_iter().flatten() {
            let mut given = Vec::new();
            for (slot, value) in slots.as_object().into_iter().flatten() {
                given.push((number("slot", slot)?, unbase64(value.as_str().unwrap_or_default())?));
            }
            secrets.insert(name.clone(), given.into_iter().collect());
        }
        let fake = Fake::new(secrets)?;
        Self::subscribed(fake.set(), Some(fake), request)
    }

    fn subscribed(set: Set, fake: Option<Fake>, request: &Request) -> Result<Self, Failure> {
        let delay = Duration::from_millis(request.number_or_none("callbackDelayMs")?.unwrap_or(0));
        let mut changes = HashMap::new();
        for name in set.names() {
            let log = Log::default();
            changes.insert(name.to_owned(), Arc::clone(&log));
            set.handle(name)?.on_change(move |change| {
                std::thread::sleep(delay);
                log.lock().expect("nobody panics with it").push(shown(change));
            });
        }
        Ok(Self { set, fake, changes, hammer: None })
    }

    pub fn handle(&self, request: &Request) -> Result<Handle, Failure> {
        Ok(self.set.handle(request.text("name")?)?)
    }

    pub async fn answer(&self, request: &Request) -> Answer {
        match request.op() {
            "current" => Ok(version(&self.handle(request)?.current()?)),
            "effectiveAt" => Ok(version(&self.handle(request)?.effective_at(request.number("at")?)?)),
            "acceptable" => {
                let (t, overlap) = (request.number("t")?, request.number("overlap")?);
                let accepted = self.handle(request)?.acceptable(t, overlap)?;
                let slots: Vec<String> = accepted.iter().map(|version| version.slot().to_string()).collect();
                let values: Vec<String> = accepted.iter().map(|version| base64(version.bytes())).collect();
                Ok(json!({ "slots": slots, "values": values }))
            }
            "age" => Ok(json!({ "ageMs": self.set.age().map(|age| age.as_millis().to_string()) })),
            "stale" => Ok(json!({ "stale": self.set.is_stale() })),
            "waitFor" => self.wait_for(request).await,
            "changes" => {
                let log =
                    self.changes.get(request.text("name")?).ok_or_else(|| Failure::internal("no such name"))?;
                Ok(json!({ "changes": *log.lock().expect("nobody panics with it") }))
            }
            "bench" => self.bench(request),
            "closeSet" => {
                self.set.close().await;
                Ok(json!({}))
            }
            "fakeRotate" => {
                let fake = self.fake.as_ref().ok_or_else(|| Failure::internal("not a fake"))?;
                let (name, value) = (request.text("name")?, request.value("value")?);
                match request.number_or_none("slot")? {
                    Some(slot) => fake.rotate_at(name, slot, value)?,
                    None => fake.rotate(name, value)?,
                }
                Ok(json!({}))
            }
            op => Err(Failure::internal(format!("{op} is no op of a set"))),
        }
    }

    async fn wait_for(&self, request: &Request) -> Answer {
        let begun = Instant::now();
        let bound = Duration::from_millis(request.number("boundMs")?);
        let wanted = Wanted::of(request)?;
        loop {
            let state = match request.text_or_none("name") {
                Some(name) => Some(self.set.handle(name)?.state()),
                None => None,
            };
            if wanted.holds(state.as_deref(), &self.set) {
                return Ok(json!({ "waitedMs": begun.elapsed().as_millis().to_string() }));
            }
            if begun.elapsed() >= bound {
                let instead = state.as_deref().map(describe).unwrap_or_default();
                let message = format!("{instead} stale={}", self.set.is_stale());
                return Err(Failure::new("DEADLINE_EXCEEDED", "WAIT_TIMEOUT", message));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn bench(&self, request: &Request) -> Answer {
        let handle = self.handle(request)?;
        let budget = Duration::from_millis(request.number_or_none("ms")?.unwrap_or(200)) / 2;
        let top = handle.current()?.slot();
        let current = nanoseconds(budget, || handle.current().map(|version| version.slot()));
        let effective_at =
            nanoseconds(budget, || handle.effective_at(black_box(top)).map(|version| version.slot()));
        Ok(json!({ "currentNs": format!("{current:.1}"), "effectiveAtNs": format!("{effective_at:.1}") }))
    }

    pub fn hammer_start(&mut self, request: &Request) -> Answer {
        let names = request.texts("names").into_iter();
        let handles = names.map(|name| self.set.handle(name)).collect::<Result<Vec<_>, _>>()?;
        let pause =
            Duration::from_secs(1) / u32::try_from(request.number("perSecond")?.max(1)).unwrap_or(u32::MAX);
        self.hammer = Some(Hammer::start(handles, pause));
        Ok(json!({}))
    }

    pub fn hammer_stop(&mut self) -> Answer {
        self.hammer.take().map(Hammer::stop).ok_or_else(|| Failure::internal("no hammer"))
    }

    pub fn repr(&self, request: &Request) -> Result<Vec<Value>, Failure> {
        let handle = self.handle(request)?;
        let version = handle.current()?;
        let (value, state) = (version.value().clone(), handle.state());
        let mut texts = vec![
            format!("{value} {value:?} {value:#?} {value:>10}"),
            serde_json::to_string(&value).unwrap_or_default(),
            format!("{version:?} {version:#?}"),
            format!("{state:?} {state:#?} {:?}", state.slots()),
            format!("{handle:?} {handle:#?}"),
            format!("{:?} {:#?}", self.set, self.set),
            format!("{:?}", std::io::Error::other(Holder(version))),
            format!("{:?}", secretslots::PutSlot::at_slot(handle.name(), 1, value)),
        ];
        if let Err(error) = handle.effective_at(u64::MAX) {
            texts.push(format!("{error} {error:?}"));
        }
        Ok(texts.into_iter().map(Value::from).collect())
    }
}

/// An error of a user's own that carries a version.
#[derive(Debug)]
struct Holder(#[allow(dead_code, reason = "printed by Debug")] Version);

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Holder {}

struct Wanted {
    value: Option<Vec<u8>>,
    slot: Option<u64>,
    revision: Option<u64>,
    absent: Option<String>,
    failed: bool,
    stale: Option<bool>,
}

impl Wanted {
    fn of(request: &Request) -> Result<Self, Failure> {
        Ok(Self {
            value: request.value_or_none("value")?,
            slot: request.number_or_none("slot")?,
            revision: request.number_or_none("revision")?,
            absent: request.text_or_none("absent").map(Into::into),
            failed: request.flag("failed"),
            stale: request.member("stale").as_bool(),
        })
    }

    fn holds(&self, state: Option<&State>, set: &Set) -> bool {
        if self.stale.is_some_and(|stale| stale != set.is_stale()) {
            return false;
        }
        let Some(state) = state else { return true };
        let current = state.current();
        let value = current.and_then(|slot| slot.value()).map(|value| value.bytes());
        self.value.as_ref().is_none_or(|wanted| value == Some(wanted.as_slice()))
            && self.slot.is_none_or(|wanted| current.is_some_and(|slot| slot.number() == wanted))
            && self.revision.is_none_or(|wanted| state.revision() >= wanted)
            && self
                .absent
                .as_ref()
                .is_none_or(|wanted| state.absent().is_some_and(|absent| absent.as_str() == wanted))
            && (!self.failed || current.is_some_and(|slot| slot.value().is_none()))
    }
}

/// Without the value.
fn describe(state: &State) -> String {
    format!(
        "slot={:?} revision={} epoch={} absent={:?}",
        state.current().map(|slot| slot.number()),
        state.revision(),
        state.epoch(),
        state.absent(),
    )
}

fn shown(change: &Change) -> Value {
    let current = change.current.current();
    json!({
        "revision": change.current.revision().to_string(),
        "epoch": change.current.epoch(),
        "slot": current.map(|slot| slot.number().to_string()),
        "value": current.and_then(|slot| slot.value()).map(|value| base64(value.bytes())),
        "absent": change.current.absent().map_or("", |absent| absent.as_str()),
        "currentChanged": change.current_changed,
    })
}

fn nanoseconds(budget: Duration, read: impl Fn() -> Result<u64, Error>) -> f64 {
    const ROUND: u32 = 10_000;
    let begun = Instant::now();
    let mut best = f64::INFINITY;
    while begun.elapsed() < budget {
        let round = Instant::now();
        for _ in 0..ROUND {
            let _ = black_box(read());
        }
        best = best.min(round.elapsed().as_secs_f64() * 1e9 / f64::from(ROUND));
    }
    best
}
