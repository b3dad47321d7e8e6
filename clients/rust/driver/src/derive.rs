//! Derived resources that notice when they are built or closed wrongly.

use std::sync::{Arc, Mutex};

use secretslots::{Derived, SecretValue, Version};
use serde_json::json;

use crate::failure::{Answer, Failure};
use crate::request::{Request, base64};
use crate::sets::OpenSet;

struct Resource {
    value: SecretValue,
}

#[derive(Default)]
struct Log {
    builds: u64,
    building: bool,
    open: u64,
    closed: Vec<String>,
    wrong: Option<String>,
}

pub struct Resources {
    derived: Derived<Resource>,
    log: Arc<Mutex<Log>>,
}

impl Resources {
    pub async fn derive(set: &OpenSet, request: &Request) -> Result<Self, Failure> {
        let fail_on = request.value_or_none("failOn")?;
        let log: Arc<Mutex<Log>> = Arc::default();
        let (building, closing) = (Arc::clone(&log), Arc::clone(&log));
        let build = move |version: Version| {
            let (log, fail_on) = (Arc::clone(&building), fail_on.clone());
            async move { build(&log, fail_on.as_deref(), &version).await }
        };
        let close = move |old: Arc<Resource>| {
            let mut log = closing.lock().expect("nobody panics with it");
            match log.open.checked_sub(1) {
                Some(open) => log.open = open,
                None => log.wrong = Some("closed twice".into()),
            }
            log.closed.push(base64(old.value.bytes()));
            std::future::ready(())
        };
        let derived = set.handle(request)?.derived(build, close).await?;
        Ok(Self { derived, log })
    }

    pub fn value(&self) -> String {
        base64(self.derived.get().value.bytes())
    }

    pub fn report(&self) -> Answer {
        let log = self.log.lock().expect("nobody panics with it");
        match &log.wrong {
            Some(wrong) => Err(Failure::internal(wrong.clone())),
            None => Ok(json!({ "value": self.value(), "builds": log.builds.to_string(), "closed": log.closed })),
        }
    }
}

async fn build(log: &Mutex<Log>, fail_on: Option<&[u8]>, version: &Version) -> Result<Resource, BuildFailed> {
    {
        let mut log = log.lock().expect("nobody panics with it");
        if std::mem::replace(&mut log.building, true) {
            log.wrong = Some("two builds at once".into());
        }
    }
    tokio::task::yield_now().await;
    let mut log = log.lock().expect("nobody panics with it");
    log.building = false;
    if fail_on == Some(version.bytes()) {
        return Err(BuildFailed);
    }
    log.builds += 1;
    log.open += 1;
    Ok(Resource { value: version.value().clone() })
}

#[derive(Debug)]
struct BuildFailed;

impl std::fmt::Display for BuildFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the build was told to fail")
    }
}

impl std::error::Error for BuildFailed {}
