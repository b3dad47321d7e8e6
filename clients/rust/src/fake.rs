//! A set without a server, for tests of programs that use this client.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secretslots_stubs::v1::{self, watch_slots_response::Event};

use crate::checksum::crc32c;
use crate::error::{Code, Error, Result, reason};
use crate::machine::{Machine, Step};
use crate::name::{MAX_NUMBER, check_names, check_number};
use crate::set::Set;
use crate::shared::{Shared, Warnings};
use crate::value::SecretValue;

const EPOCH: &str = "fake";

/// The values of one secret at the start: one value (slot 0), or slots and their values.
#[derive(Clone, Debug)]
pub struct FakeSlots(BTreeMap<u64, SecretValue>);

impl<T: Into<SecretValue>> From<T> for FakeSlots {
    fn from(value: T) -> Self {
        Self(BTreeMap::from([(0, value.into())]))
    }
}

impl<T: Into<SecretValue>, const N: usize> From<[(u64, T); N]> for FakeSlots {
    fn from(slots: [(u64, T); N]) -> Self {
        slots.into_iter().collect()
    }
}

impl<T: Into<SecretValue>> FromIterator<(u64, T)> for FakeSlots {
    fn from_iter<I: IntoIterator<Item = (u64, T)>>(slots: I) -> Self {
        Self(slots.into_iter().map(|(slot, value)| (slot, value.into())).collect())
    }
}

/// A set whose secrets a test rotates by hand. Its handles, callbacks and derived values are the real ones, fed by
/// the same state machine; each call here is one revision of the epoch `fake`.
///
/// ```
/// # use secretslots::{Fake, FakeSlots};
/// let fake = Fake::new([("app/db", FakeSlots::from("old"))])?;
/// let password = fake.set().handle("app/db")?;
/// fake.rotate("app/db", "new")?;
/// assert_eq!(password.current()?.text(), Ok("new"));
/// assert_eq!(password.effective_at(0)?.text(), Ok("old"));
/// # Ok::<(), secretslots::Error>(())
/// ```
pub struct Fake {
    set: Set,
    world: Mutex<World>,
}

struct World {
    machine: Machine,
    revision: u64,
    live: BTreeMap<String, BTreeSet<u64>>,
    largest: BTreeMap<String, u64>,
}

impl Fake {
    /// Each secret with its values.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for ill-formed names or numbers.
    pub fn new<N: Into<String>, S: Into<FakeSlots>>(secrets: impl IntoIterator<Item = (N, S)>) -> Result<Self> {
        let secrets: BTreeMap<String, FakeSlots> =
            secrets.into_iter().map(|(name, slots)| (name.into(), slots.into())).collect();
        let names: Vec<Arc<str>> = check_names(secrets.keys().cloned())?.into_iter().map(Arc::from).collect();
        let shared = Shared::new(names, Warnings::default());
        let machine = Machine::new(&shared.names);
        let world = World { machine, revision: 0, live: BTreeMap::new(), largest: BTreeMap::new() };
        let fake = Self { set: Set::new(shared), world: Mutex::new(world) };
        let mut world = fake.world();
        for (name, slots) in secrets {
            world.feed(Event::Begin(v1::Begin { name: name.clone() }));
            for (slot, value) in slots.0 {
                world.put(&name, check_number("slot", slot)?, &value);
            }
        }
        fake.commit(&mut world);
        drop(world);
        Ok(fake)
    }

    /// The set, as `open` would give it.
    pub fn set(&self) -> Set {
        self.set.clone()
    }

    /// Puts a value one past the largest slot; slot 0 for a secret that was deleted.
    pub fn rotate(&self, name: &str, value: impl Into<SecretValue>) -> Result<()> {
        let largest = self.world().largest.get(name).copied();
        self.rotate_at(name, largest.map_or(0, |largest| largest.saturating_add(1)), value)
    }

    /// Puts a value into this slot, over what it holds.
    pub fn rotate_at(&self, name: &str, slot: u64, value: impl Into<SecretValue>) -> Result<()> {
        self.set.shared().cell(name)?;
        let slot = check_number("slot", slot)?;
        let mut world = self.world();
        world.put(name, slot, &value.into());
        self.commit(&mut world);
        Ok(())
    }

    /// Takes a slot away, as the server does when one is disabled.
    ///
    /// # Errors
    /// NOT_FOUND `SLOT_NOT_FOUND` for a slot that is not live.
    pub fn disable(&self, name: &str, slot: u64) -> Result<()> {
        self.set.shared().cell(name)?;
        let mut world = self.world();
        let live = world.live.entry(name.to_owned()).or_default();
        if !live.remove(&slot) {
            let message = format!("secret {name} has no live slot {slot}");
            return Err(Error::new(Code::NotFound, "SLOT_NOT_FOUND", message).with("name", name));
        }
        let last = live.is_empty();
        world.feed(Event::Removed(v1::RemovedSlot { name: name.to_owned(), slot: Some(slot) }));
        if last {
            world.absent(name, v1::AbsentReason::NoEnabledSlot);
        }
        self.commit(&mut world);
        Ok(())
    }

    /// Deletes a secret. It can be rotated into being again.
    ///
    /// # Errors
    /// NOT_FOUND `SECRET_NOT_FOUND` for a secret that is deleted already.
    pub fn delete(&self, name: &str) -> Result<()> {
        self.set.shared().cell(name)?;
        let mut world = self.world();
        if world.largest.remove(name).is_none() {
            let message = format!("secret {name} does not exist");
            return Err(Error::new(Code::NotFound, reason::SECRET_NOT_FOUND, message).with("name", name));
        }
        world.live.remove(name);
        world.absent(name, v1::AbsentReason::NotExisting);
        self.commit(&mut world);
        Ok(())
    }

    /// Publishes under the lock, so that two threads' changes arrive in order.
    fn commit(&self, world: &mut World) {
        let states = world.commit();
        self.set.shared().heard_now();
        self.set.shared().publish(&states);
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    fn put(&mut self, name: &str, slot: u64, value: &SecretValue) {
        self.live.entry(name.to_owned()).or_default().insert(slot);
        let largest = self.largest.entry(name.to_owned()).or_default();
        *largest = slot.max(*largest);
        self.feed(Event::Slot(v1::LiveSlot {
            name: name.to_owned(),
            slot: Some(slot),
            crc32c: Some(crc32c(value.bytes())),
            value: value.bytes().to_vec(),
            create_time: Some(std::time::SystemTime::now().into()),
        }));
    }

    fn absent(&mut self, name: &str, reason: v1::AbsentReason) {
        self.feed(Event::Absent(v1::AbsentSecret { name: name.to_owned(), reason: reason.into() }));
    }

    fn commit(&mut self) -> Vec<Arc<crate::State>> {
        let step = self.feed(Event::Synced(v1::Synced {}));
        self.revision += 1;
        match step {
            Step::Synced(states) => states,
            Step::Nothing | Step::Progress => Vec::new(),
        }
    }

    /// Events of the commit that comes next.
    fn feed(&mut self, event: Event) -> Step {
        let message = v1::WatchSlotsResponse {
            epoch: EPOCH.to_owned(),
            revision: (self.revision + 1).min(MAX_NUMBER),
            resume_token: String::new(),
            event: Some(event),
        };
        self.machine.feed(message).expect("a fake's events are well formed")
    }
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fake").field("set", &self.set).finish_non_exhaustive()
    }
}
