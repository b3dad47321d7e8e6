//! Opening a set: waiting until every name has a value, or saying which have none and why.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::cache::{self, Key, Snapshot};
use crate::cache_writer::CacheWriter;
use crate::connection::Connection;
use crate::error::{Code, Error, Result, reason};
use crate::follower::{Contact, Follower};
use crate::machine::Machine;
use crate::name::check_names;
use crate::options::{OpenOptions, View};
use crate::set::Set;
use crate::shared::{Shared, Warnings};
use crate::state::Version;

/// How long the cache waits for the server's word.
const CACHE_PATIENCE: Duration = Duration::from_secs(2);

pub(crate) async fn open<N: Into<String>>(
    connection: Arc<Connection>,
    warnings: Warnings,
    names: impl IntoIterator<Item = N>,
    options: OpenOptions,
) -> Result<Set> {
    let names: Vec<Arc<str>> = check_names(names)?.into_iter().map(Arc::from).collect();
    let key = options.cache.as_ref().map(|(_, key)| Key::new(key)).transpose()?.map(Arc::new);
    let shared = Shared::new(names, warnings);
    // From here on dropping `set`, also when the caller drops this future, stops all that was started.
    let set = Set::new(Arc::clone(&shared));

    let mut machine = Machine::new(&shared.names);
    let mut writer = None;
    if let (Some((path, _)), Some(key)) = (options.cache, key) {
        if let Some(snapshot) = load(&path, &key, &shared).await {
            restore(snapshot, options.view, &shared, &mut machine);
        }
        writer = Some(CacheWriter::start(path, key, &shared));
    }
    let cached = shared.is_stale() && missing(&shared).is_empty();
    let (contact, contacted) = watch::channel(Contact::default());
    let first_write = writer.as_ref().map(CacheWriter::first_write);
    let follower =
        Follower { connection, shared: Arc::clone(&shared), machine, view: options.view, cache: writer, contact };
    shared.tasks.spawn(follower.run());

    let opened = wait(&shared, contacted, options.timeout, cached).await;
    match (opened, first_write) {
        (Ok(Opened::FromServer), Some(first_write)) => first_write.await,
        (Ok(_), _) => {}
        (Err(error), _) => {
            set.close().await;
            return Err(error);
        }
    }
    Ok(set)
}

async fn load(path: &Path, key: &Arc<Key>, shared: &Shared) -> Option<Snapshot> {
    let (path, key) = (path.to_owned(), Arc::clone(key));
    match tokio::task::spawn_blocking(move || cache::read(&path, &key)).await {
        Ok(Ok(snapshot)) => snapshot,
        Ok(Err(error)) => {
            shared.warnings.warn("starting without the cache file", &error);
            None
        }
        Err(_) => None,
    }
}

/// Takes what fits: values of the asked names if the view is the same, and the token if the names are too.
fn restore(mut snapshot: Snapshot, view: View, shared: &Shared, machine: &mut Machine) {
    if snapshot.view != view {
        return;
    }
    let in_file = snapshot.states.len();
    snapshot.states.retain(|state| shared.cell(&state.name).is_ok());
    let exact = in_file == shared.names.len() && snapshot.states.len() == in_file;
    let token = if exact { snapshot.resume_token } else { String::new() };
    if snapshot.states.is_empty() {
        return;
    }
    shared.publish(&snapshot.states);
    shared.set_stale(true);
    machine.restore(&snapshot.states, snapshot.position, token);
}

#[derive(Debug, PartialEq, Eq)]
enum Opened {
    FromServer,
    FromCache,
}

async fn wait(
    shared: &Shared,
    mut contact: watch::Receiver<Contact>,
    timeout: Duration,
    cached: bool,
) -> Result<Opened> {
    let begun = Instant::now();
    let (deadline, patience) = (begun + timeout, begun + CACHE_PATIENCE);
    loop {
        let now = contact.borrow_and_update().clone();
        if let Some(error) = now.refused {
            return Err(error);
        }
        if now.made && missing(shared).is_empty() {
            return Ok(Opened::FromServer);
        }
        let from_cache = cached && !now.made;
        if from_cache && (now.unavailable || Instant::now() >= patience) {
            return Ok(Opened::FromCache);
        }
        tokio::select! {
            changed = contact.changed() => if changed.is_err() {
                return Err(Error::new(Code::Cancelled, "", "the set was closed while it was opened"));
            },
            () = sleep_until(patience), if from_cache => {}
            () = sleep_until(deadline) => {
                return if from_cache { Ok(Opened::FromCache) } else { Err(timed_out(shared, &now)) };
            }
        }
    }
}

/// The names without a value, in the order declared, each with why.
fn missing(shared: &Shared) -> Vec<(Arc<str>, Error)> {
    let without = |state| Version::current(arc_swap::Guard::from_inner(state)).err();
    let states = shared.states().into_iter();
    states.filter_map(|state| Some((Arc::clone(&state.name), without(state)?))).collect()
}

fn timed_out(shared: &Shared, contact: &Contact) -> Error {
    let missing = missing(shared);
    let no_contact = match &contact.last_error {
        Some(error) => format!("no contact: {error}"),
        None => "no contact".to_owned(),
    };
    let why = |error: &Error| match error.reason() {
        _ if !contact.made => no_contact.clone(),
        reason::SECRET_NOT_FOUND => "does not exist".to_owned(),
        reason::NO_EFFECTIVE_SLOT => "has no enabled slot".to_owned(),
        _ => "does not open: data loss".to_owned(),
    };
    let each: Vec<String> = missing.iter().map(|(name, error)| format!("{name} ({})", why(error))).collect();
    let names: Vec<&str> = missing.iter().map(|(name, _)| &**name).collect();
    let message = format!("no value in time for {}", each.join(", "));
    Error::new(Code::DeadlineExceeded, reason::SECRETS_MISSING, message).with("missing", names.join(","))
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
