//! The immutable state of one secret and its two resolution rules.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::Guard;

use crate::error::{Code, Error, Result, reason};
use crate::name::{MAX_NUMBER, check_number};
use crate::value::SecretValue;

/// Why a secret has no value to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AbsentReason {
    /// There is no secret of that name.
    NotExisting,
    /// The secret exists and has no enabled slot.
    NoEnabledSlot,
}

impl AbsentReason {
    /// The word on the wire: `NOT_EXISTING` or `NO_ENABLED_SLOT`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotExisting => "NOT_EXISTING",
            Self::NoEnabledSlot => "NO_ENABLED_SLOT",
        }
    }
}

/// One live slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    pub(crate) number: u64,
    pub(crate) revision: u64,
    pub(crate) create_time: Option<SystemTime>,
    pub(crate) value: Option<SecretValue>,
}

impl Slot {
    /// The slot's number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The commit that made the slot so.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// When this version of the slot was written.
    pub fn create_time(&self) -> Option<SystemTime> {
        self.create_time
    }

    /// The value; none for a slot whose record the server can't open.
    pub fn value(&self) -> Option<&SecretValue> {
        self.value.as_ref()
    }
}

/// What a state holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The live slots, ascending, at least one.
    Slots(Box<[Slot]>),
    /// There is no live slot.
    Absent(AbsentReason),
}

/// The whole state of one secret at one revision. Never changes; a change makes a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub(crate) name: Arc<str>,
    pub(crate) epoch: Arc<str>,
    pub(crate) revision: u64,
    pub(crate) content: Content,
}

impl State {
    /// The secret's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The identity of the store's history. Revisions compare within one epoch.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// The commit that made this state so; 0 for a secret that never existed. Rises with every change in an epoch.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Slots, or why there are none.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// The live slots, ascending; empty when absent.
    pub fn slots(&self) -> &[Slot] {
        match &self.content {
            Content::Slots(slots) => slots,
            Content::Absent(_) => &[],
        }
    }

    /// Why there is no value, if there is none.
    pub fn absent(&self) -> Option<AbsentReason> {
        match self.content {
            Content::Slots(_) => None,
            Content::Absent(reason) => Some(reason),
        }
    }

    /// The slot with the largest number, failed or not.
    pub fn current(&self) -> Option<&Slot> {
        self.slots().last()
    }

    fn current_index(&self) -> Result<usize> {
        match &self.content {
            Content::Slots(slots) => self.checked(slots.len() - 1),
            Content::Absent(reason) => Err(self.absence(*reason)),
        }
    }

    fn index_at(&self, at: u64) -> Result<usize> {
        match &self.content {
            Content::Slots(slots) => match slots.partition_point(|slot| slot.number <= at) {
                0 => Err(self.nothing_at(at)),
                count => self.checked(count - 1),
            },
            Content::Absent(reason) => Err(self.absence(*reason)),
        }
    }

    /// A failed slot is never skipped in favour of a lower one.
    fn checked(&self, index: usize) -> Result<usize> {
        match self.slots()[index].value {
            Some(_) => Ok(index),
            None => Err(self.failed(self.slots()[index].number)),
        }
    }

    /// Every good slot that is effective somewhere in [t − overlap, t + overlap], largest first, no value twice.
    pub(crate) fn acceptable(&self, t: u64, overlap: u64) -> Vec<usize> {
        let slots = self.slots();
        let (from, to) = (t.saturating_sub(overlap), t.saturating_add(overlap).min(MAX_NUMBER));
        let first = slots.partition_point(|slot| slot.number <= from).saturating_sub(1);
        let end = slots.partition_point(|slot| slot.number <= to);
        let mut chosen: Vec<usize> = Vec::new();
        for index in (first..end).rev() {
            let value = &slots[index].value;
            if value.is_some() && !chosen.iter().any(|&other| slots[other].value == *value) {
                chosen.push(index);
            }
        }
        chosen
    }

    #[cold]
    fn absence(&self, absent: AbsentReason) -> Error {
        let (reason, what) = match absent {
            AbsentReason::NotExisting => (reason::SECRET_NOT_FOUND, "does not exist"),
            AbsentReason::NoEnabledSlot => (reason::NO_EFFECTIVE_SLOT, "has no enabled slot"),
        };
        Error::new(Code::NotFound, reason, format!("secret {} {what}", self.name)).with("name", &*self.name)
    }

    #[cold]
    fn nothing_at(&self, at: u64) -> Error {
        let message = format!("secret {} has no enabled slot at or below {at}", self.name);
        Error::new(Code::NotFound, reason::NO_EFFECTIVE_SLOT, message).with("name", &*self.name)
    }

    #[cold]
    fn failed(&self, slot: u64) -> Error {
        let message = format!("slot {slot} of secret {} does not open", self.name);
        let error = Error::new(Code::DataLoss, reason::DATA_LOSS, message);
        error.with("name", &*self.name).with("slot", slot.to_string())
    }
}

/// What resolving gives: one slot's value and where it comes from. Prints without the value.
pub struct Version {
    state: Guard<Arc<State>>,
    index: usize,
    at: Option<u64>,
}

impl Version {
    pub(crate) fn current(state: Guard<Arc<State>>) -> Result<Self> {
        let index = state.current_index()?;
        Ok(Self { state, index, at: None })
    }

    pub(crate) fn effective_at(state: Guard<Arc<State>>, at: u64) -> Result<Self> {
        let index = state.index_at(check_number("at", at)?)?;
        Ok(Self { state, index, at: Some(at) })
    }

    pub(crate) fn acceptable(state: &Arc<State>, t: u64, overlap: u64) -> Result<Vec<Self>> {
        let (t, overlap) = (check_number("t", t)?, check_number("overlap", overlap)?);
        let of = |index| Self { state: Guard::from_inner(Arc::clone(state)), index, at: None };
        Ok(state.acceptable(t, overlap).into_iter().map(of).collect())
    }

    pub(crate) fn resolved_at(mut self, at: Option<u64>) -> Self {
        self.at = at;
        self
    }

    fn resolved(&self) -> &Slot {
        &self.state.slots()[self.index]
    }

    /// The secret's name.
    pub fn name(&self) -> &str {
        self.state.name()
    }

    /// The value.
    pub fn value(&self) -> &SecretValue {
        self.resolved().value.as_ref().expect("a version is made of good slots only")
    }

    /// The value's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.value().bytes()
    }

    /// The value as UTF-8 text.
    pub fn text(&self) -> Result<&str, std::str::Utf8Error> {
        self.value().text()
    }

    /// The slot that the value is in.
    pub fn slot(&self) -> u64 {
        self.resolved().number
    }

    /// The last change of the secret (not of the slot).
    pub fn revision(&self) -> u64 {
        self.state.revision
    }

    /// The identity of the store's history.
    pub fn epoch(&self) -> &str {
        self.state.epoch()
    }

    /// When this version of the slot was written.
    pub fn create_time(&self) -> Option<SystemTime> {
        self.resolved().create_time
    }

    /// The number that was resolved by an effective-at question; none for the current value.
    pub fn at(&self) -> Option<u64> {
        self.at
    }
}

impl Clone for Version {
    fn clone(&self) -> Self {
        Self { state: Guard::from_inner(Arc::clone(&self.state)), index: self.index, at: self.at }
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Version")
            .field("name", &self.name())
            .field("slot", &self.slot())
            .field("value", self.value())
            .field("revision", &self.revision())
            .field("epoch", &self.epoch())
            .finish()
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
