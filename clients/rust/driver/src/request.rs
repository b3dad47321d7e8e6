//! Members of a request: numbers are decimal strings, values base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use crate::failure::Failure;

pub struct Request(Value);

impl Request {
    pub fn parse(line: &str) -> Self {
        Self(serde_json::from_str(line).unwrap_or_default())
    }

    pub fn id(&self) -> Value {
        self.0["id"].clone()
    }

    pub fn op(&self) -> &str {
        self.0["op"].as_str().unwrap_or_default()
    }

    pub fn member(&self, key: &str) -> &Value {
        &self.0[key]
    }

    pub fn text(&self, key: &str) -> Result<&str, Failure> {
        self.text_or_none(key).ok_or_else(|| Failure::internal(format!("{key} is missing")))
    }

    pub fn text_or_none(&self, key: &str) -> Option<&str> {
        self.0[key].as_str()
    }

    pub fn flag(&self, key: &str) -> bool {
        self.0[key].as_bool().unwrap_or_default()
    }

    pub fn texts(&self, key: &str) -> Vec<&str> {
        self.0[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    pub fn number_or_none(&self, key: &str) -> Result<Option<u64>, Failure> {
        self.text_or_none(key).map(|text| number(key, text)).transpose()
    }

    pub fn number(&self, key: &str) -> Result<u64, Failure> {
        number(key, self.text(key)?)
    }

    pub fn value_or_none(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        self.text_or_none(key).map(unbase64).transpose()
    }

    pub fn value(&self, key: &str) -> Result<Vec<u8>, Failure> {
        unbase64(self.text(key)?)
    }
}

/// What no `u64` can hold is what this language's callers can't even write.
pub fn number(field: &str, text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| Failure::invalid(field, "must be 0 to 2^63-1"))
}

pub fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

pub fn unbase64(text: &str) -> Result<Vec<u8>, Failure> {
    BASE64.decode(text).map_err(|_| Failure::internal("bad base64"))
}
