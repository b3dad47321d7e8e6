//! The encrypted cache file, readable by the client of every language. Its format is in `clients/README.md`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::error::{Code, Error, Result, reason};
use crate::machine::Position;
use crate::name::MAX_NUMBER;
use crate::options::View;
use crate::random;
use crate::state::{AbsentReason, Content, Slot, State};

const MAGIC: &[u8; 8] = b"SSCACHE1";
const VERSION: &str = "1";

/// What a file holds.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub view: View,
    pub position: Position,
    pub resume_token: String,
    pub states: Vec<Arc<State>>,
}

/// The key of a cache file; does not print.
pub(crate) struct Key(LessSafeKey);

impl Key {
    pub fn new(bytes: &[u8]) -> Result<Self> {
        let unbound = UnboundKey::new(&AES_256_GCM, bytes);
        Ok(Self(LessSafeKey::new(unbound.map_err(|_| Error::invalid("cache_key", "must be 32 bytes"))?)))
    }
}

/// None when there is no file; an error for one that can't be used.
pub(crate) fn read(path: &Path, key: &Key) -> Result<Option<Snapshot>> {
    let mut bytes = match fs::read(path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, error.kind())),
    };
    open(&mut bytes, key).map(Some).map_err(|why| unreadable(path, why))
}

/// A new file beside it, made durable, then renamed over: a reader sees the old one or the new one, whole.
pub(crate) fn write(path: &Path, key: &Key, snapshot: &Snapshot) -> Result<()> {
    let bytes = seal(snapshot, key);
    replace(path, &bytes)
        .map_err(|error| Error::new(Code::Unknown, "", format!("cache {}: {error}", path.display())))
}

fn unreadable(path: &Path, why: impl std::fmt::Display) -> Error {
    let message = format!("cache {}: {why}", path.display());
    Error::new(Code::DataLoss, reason::CACHE_UNREADABLE, message)
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let fresh = folder.join(format!(".{name}.{}.tmp", random::hex::<8>()));
    let written = create_private(&fresh)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        // Nothing better can be done with a file that can't be removed either.
        let _ = fs::remove_file(&fresh);
    }
    written.and_then(|()| sync_folder(folder))
}

#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

fn seal(snapshot: &Snapshot, key: &Key) -> Vec<u8> {
    let mut payload = encode(snapshot);
    let nonce = random::bytes::<NONCE_LEN>();
    let sealing = Nonce::assume_unique_for_key(nonce);
    let tag = key.0.seal_in_place_separate_tag(sealing, Aad::from(MAGIC), &mut payload);
    let tag = tag.expect("a payload is far below AES-GCM's limit");
    [MAGIC, nonce.as_slice(), &payload, tag.as_ref()].concat()
}

fn open(bytes: &mut [u8], key: &Key) -> Result<Snapshot, &'static str> {
    if !bytes.starts_with(MAGIC) {
        return Err("not a cache file of this version");
    }
    let (nonce, sealed) = bytes[MAGIC.len()..].split_at_mut_checked(NONCE_LEN).ok_or("too short")?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| "too short")?;
    let opened = key.0.open_in_place(nonce, Aad::from(MAGIC), sealed);
    decode(opened.map_err(|_| "another key, or changed bytes")?)
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    version: String,
    view: String,
    epoch: String,
    revision: String,
    resume_token: String,
    saved_at: String,
    secrets: BTreeMap<String, Secret>,
}

#[derive(Serialize, Deserialize)]
struct Secret {
    revision: String,
    absent: String,
    slots: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    slot: String,
    revision: String,
    create_time: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    failed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Encoded>,
}

/// A value in base64, overwritten when dropped.
struct Encoded(Zeroizing<String>);

impl Serialize for Encoded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Encoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

fn encode(snapshot: &Snapshot) -> Zeroizing<Vec<u8>> {
    let since_epoch = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let entry = |slot: &Slot| Entry {
        slot: slot.number.to_string(),
        revision: slot.revision.to_string(),
        create_time: slot.create_time.map_or_else(String::new, |time| {
            let time = since_epoch(time);
            format!("{}.{:09}", time.as_secs(), time.subsec_nanos())
        }),
        failed: slot.value.is_none(),
        value: slot.value.as_ref().map(|value| Encoded(Zeroizing::new(BASE64.encode(value.bytes())))),
    };
    let secret = |state: &Arc<State>| Secret {
        revision: state.revision.to_string(),
        absent: state.absent().map_or("", AbsentReason::as_str).to_owned(),
        slots: state.slots().iter().map(entry).collect(),
    };
    let file = File {
        version: VERSION.to_owned(),
        view: snapshot.view.as_str().to_owned(),
        epoch: snapshot.position.epoch.to_string(),
        revision: snapshot.position.revision.to_string(),
        resume_token: snapshot.resume_token.clone(),
        saved_at: since_epoch(SystemTime::now()).as_secs().to_string(),
        secrets: snapshot.states.iter().map(|state| (state.name.to_string(), secret(state))).collect(),
    };
    // Room for all of it, so that growing leaves no copy behind.
    let slots = snapshot.states.iter().flat_map(|state| state.slots());
    let room: usize = slots.map(|slot| 256 + slot.value.as_ref().map_or(0, |value| value.bytes().len() * 2)).sum();
    let mut bytes = Zeroizing::new(Vec::with_capacity(room + 512 * (snapshot.states.len() + 1) + 32_768));
    serde_json::to_writer(&mut *bytes, &file).expect("strings and maps of strings serialise");
    bytes
}

fn decode(payload: &[u8]) -> Result<Snapshot, &'static str> {
    // serde_json's own words could quote a value: they are not passed on.
    let file: File = serde_json::from_slice(payload).map_err(|_| "bad JSON")?;
    if file.version != VERSION {
        return Err("not a cache file of this version");
    }
    let view = match file.view.as_str() {
        "ALL_ENABLED" => View::AllEnabled,
        "CURRENT" => View::Current,
        _ => return Err("an unknown view"),
    };
    let epoch: Arc<str> = file.epoch.into();
    let state = |(name, secret): (String, Secret)| {
        let slots = secret.slots.into_iter().map(slot).collect::<Result<Box<[Slot]>, _>>()?;
        let content = match secret.absent.as_str() {
            "" if slots.is_empty() => return Err("a secret without slots"),
            "" if !slots.is_sorted_by(|a, b| a.number < b.number) => return Err("slots out of order"),
            "" => Content::Slots(slots),
            "NOT_EXISTING" => Content::Absent(AbsentReason::NotExisting),
            "NO_ENABLED_SLOT" => Content::Absent(AbsentReason::NoEnabledSlot),
            _ => return Err("an unknown absence"),
        };
        let revision = number(&secret.revision)?;
        Ok(Arc::new(State { name: name.into(), epoch: Arc::clone(&epoch), revision, content }))
    };
    let states = file.secrets.into_iter().map(state).collect::<Result<_, _>>()?;
    let position = Position { revision: number(&file.revision)?, epoch: Arc::clone(&epoch) };
    Ok(Snapshot { view, position, resume_token: file.resume_token, states })
}

fn slot(entry: Entry) -> Result<Slot, &'static str> {
    let value = match (entry.failed, entry.value) {
        (true, _) => None,
        (false, Some(Encoded(text))) => Some(BASE64.decode(text.as_bytes()).map_err(|_| "bad base64")?.into()),
        (false, None) => return Err("a slot without its value"),
    };
    let create_time = if entry.create_time.is_empty() { None } else { Some(time(&entry.create_time)?) };
    Ok(Slot { number: number(&entry.slot)?, revision: number(&entry.revision)?, create_time, value })
}

fn number(text: &str) -> Result<u64, &'static str> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && *number <= MAX_NUMBER);
    number.ok_or("a number out of range")
}

fn time(text: &str) -> Result<SystemTime, &'static str> {
    let (seconds, nanoseconds) = text.split_once('.').filter(|(_, n)| n.len() == 9).ok_or("a bad time")?;
    let nanoseconds = u32::try_from(number(nanoseconds)?).map_err(|_| "a bad time")?;
    let since_epoch = Duration::new(number(seconds)?, nanoseconds);
    UNIX_EPOCH.checked_add(since_epoch).ok_or("a bad time")
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
