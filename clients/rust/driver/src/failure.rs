//! An error as the protocol wants it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub type Answer = Result<Value, Failure>;

#[derive(Debug)]
pub struct Failure {
    code: String,
    reason: String,
    message: String,
    metadata: BTreeMap<String, String>,
}

impl Failure {
    pub fn new(code: &str, reason: &str, message: impl Into<String>) -> Self {
        Self { code: code.into(), reason: reason.into(), message: message.into(), metadata: BTreeMap::new() }
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new("INTERNAL", "", message)
    }

    pub fn invalid(field: &str, rule: &str) -> Self {
        let mut failure = Self::new("INVALID_ARGUMENT", "INVALID_FIELD", format!("{field}: {rule}"));
        failure.metadata.insert("field".into(), field.into());
        failure
    }

    pub fn to_json(&self) -> Value {
        json!({ "code": self.code, "reason": self.reason, "message": self.message, "metadata": self.metadata })
    }
}

impl From<secretslots::Error> for Failure {
    fn from(error: secretslots::Error) -> Self {
        let mut failure = Self::new(error.code().as_str(), error.reason(), error.message());
        failure.metadata.clone_from(error.metadata());
        failure
    }
}

impl From<Box<dyn std::error::Error + Send + Sync>> for Failure {
    fn from(error: Box<dyn std::error::Error + Send + Sync>) -> Self {
        match error.downcast::<secretslots::Error>() {
            Ok(error) => (*error).into(),
            Err(error) => Self::internal(error.to_string()),
        }
    }
}
