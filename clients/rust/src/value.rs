//! Bytes that do not print.

use std::fmt;
use std::str::Utf8Error;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

const REDACTED: &str = "[secret]";

/// The bytes of a secret. Shows `[secret]` wherever Rust prints or serialises it; reading it is explicit. Clones share
/// the bytes, which are overwritten when the last one is dropped.
///
/// Equality compares in constant time.
///
/// ```
/// let value = secretslots::SecretValue::from("hunter2");
/// assert_eq!(format!("{value} {value:?}"), "[secret] [secret]");
/// assert_eq!(value.text(), Ok("hunter2"));
/// ```
#[derive(Clone)]
pub struct SecretValue(Arc<Zeroizing<Vec<u8>>>);

impl SecretValue {
    /// The bytes, read-only.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as UTF-8 text.
    pub fn text(&self) -> Result<&str, Utf8Error> {
        std::str::from_utf8(self.bytes())
    }
}

impl PartialEq for SecretValue {
    fn eq(&self, other: &Self) -> bool {
        self.bytes().ct_eq(other.bytes()).into()
    }
}

impl Eq for SecretValue {}

impl From<Vec<u8>> for SecretValue {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }
}

impl From<String> for SecretValue {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl From<&[u8]> for SecretValue {
    fn from(bytes: &[u8]) -> Self {
        bytes.to_vec().into()
    }
}

impl From<&str> for SecretValue {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for SecretValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}
