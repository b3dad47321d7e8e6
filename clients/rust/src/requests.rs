//! What the mutating calls take.

use std::collections::BTreeMap;
use std::fmt;

use secretslots_stubs::v1;

use crate::checksum::crc32c;
use crate::error::Result;
use crate::name::{check_name, check_number};
use crate::unary::or_random;
use crate::value::SecretValue;

/// What goes with a mutation. `Mutation::default()` has neither.
#[derive(Clone, Debug, Default)]
pub struct Mutation {
    /// When not empty, must be the secret's etag of today, else ABORTED `ETAG_MISMATCH`.
    pub etag: String,
    /// 1 to 64 characters that make a retry safe. The client makes one when empty.
    pub request_id: String,
}

/// New metadata; none leaves as it is.
#[derive(Clone, Debug, Default)]
pub struct Update {
    /// The new comment, at most 1,024 bytes.
    pub comment: Option<String>,
    /// The new labels, which replace all of the old ones.
    pub labels: Option<BTreeMap<String, String>>,
}

/// A value to write, and where.
///
/// ```
/// # use secretslots::PutSlot;
/// PutSlot::at_slot("app/db", 5, "hunter3");
/// PutSlot::at_next_index("app/db", "hunter3").disabled();
/// PutSlot::at_now("app/db", "hunter3").expected_revision(7);
/// ```
#[derive(Clone)]
pub struct PutSlot {
    name: String,
    place: Place,
    value: SecretValue,
    overwrite: bool,
    expected_revision: Option<u64>,
    request_id: String,
    initial_state: v1::SlotState,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Slot(u64),
    Auto(v1::AutoSlot),
}

impl PutSlot {
    /// Into this slot, 0 to 2^63−1.
    pub fn at_slot(name: impl Into<String>, slot: u64, value: impl Into<SecretValue>) -> Self {
        Self::at(name.into(), Place::Slot(slot), value.into())
    }

    /// One past the largest number ever used; 0 for the first.
    pub fn at_next_index(name: impl Into<String>, value: impl Into<SecretValue>) -> Self {
        Self::at(name.into(), Place::Auto(v1::AutoSlot::NextIndex), value.into())
    }

    /// The server's clock in Unix seconds.
    pub fn at_now(name: impl Into<String>, value: impl Into<SecretValue>) -> Self {
        Self::at(name.into(), Place::Auto(v1::AutoSlot::Now), value.into())
    }

    fn at(name: String, place: Place, value: SecretValue) -> Self {
        let initial_state = v1::SlotState::Unspecified;
        let request_id = String::new();
        Self { name, place, value, overwrite: false, expected_revision: None, request_id, initial_state }
    }

    /// Allows another value in a slot that holds one, or in a destroyed number.
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// The secret's revision that the caller has seen; 0 = must not exist yet.
    #[must_use]
    pub fn expected_revision(mut self, revision: u64) -> Self {
        self.expected_revision = Some(revision);
        self
    }

    /// 1 to 64 characters that make a retry safe. The client makes one when none is given.
    #[must_use]
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = id.into();
        self
    }

    /// Stages the slot: it is enabled later.
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.initial_state = v1::SlotState::Disabled;
        self
    }

    pub(crate) fn into_request(self) -> Result<v1::PutSlotRequest> {
        check_name(&self.name)?;
        let (slot, auto_slot) = match self.place {
            Place::Slot(slot) => (Some(check_number("slot", slot)?), v1::AutoSlot::Unspecified),
            Place::Auto(auto) => (None, auto),
        };
        let expected = self.expected_revision.map(|revision| check_number("expected_revision", revision));
        Ok(v1::PutSlotRequest {
            name: self.name,
            slot,
            auto_slot: auto_slot.into(),
            crc32c: Some(crc32c(self.value.bytes())),
            value: Some(self.value.bytes().to_vec()),
            overwrite: self.overwrite,
            expected_revision: expected.transpose()?,
            request_id: or_random(self.request_id),
            initial_state: self.initial_state.into(),
        })
    }
}

impl fmt::Debug for PutSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("PutSlot");
        out.field("name", &self.name)
            .field("place", &self.place)
            .field("value", &self.value)
            .finish_non_exhaustive()
    }
}
