//! The one error type: gRPC's code, a stable reason, and never a value or a token.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use tonic::Status;
use tonic_types::StatusExt as _;

/// The result of everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Reasons that this client gives itself, and those of the server that it acts on. The server's whole list is in its
/// documentation.
pub mod reason {
    /// The secret does not exist.
    pub const SECRET_NOT_FOUND: &str = "SECRET_NOT_FOUND";
    /// No enabled slot at all, or none at or below the number asked for.
    pub const NO_EFFECTIVE_SLOT: &str = "NO_EFFECTIVE_SLOT";
    /// A value arrived damaged, or the server can't open it.
    pub const DATA_LOSS: &str = "DATA_LOSS";
    /// The name was not declared when the set was opened.
    pub const NAME_NOT_DECLARED: &str = "NAME_NOT_DECLARED";
    /// `open` timed out; metadata `missing` holds the names, joined by `,`.
    pub const SECRETS_MISSING: &str = "SECRETS_MISSING";
    /// A token is not sent in the clear to another machine.
    pub const PLAINTEXT_REFUSED: &str = "PLAINTEXT_REFUSED";
    /// The token file or callback gave no token, now or earlier.
    pub const TOKEN_UNREADABLE: &str = "TOKEN_UNREADABLE";
    /// The cache file could not be used. Only ever a warning.
    pub const CACHE_UNREADABLE: &str = "CACHE_UNREADABLE";
    /// An argument is wrong; metadata `field` names it.
    pub const INVALID_FIELD: &str = "INVALID_FIELD";
    /// The server does not take this resume token.
    pub const BAD_RESUME_TOKEN: &str = "BAD_RESUME_TOKEN";
    /// No answer within the time given.
    pub const DEADLINE_EXCEEDED: &str = "DEADLINE_EXCEEDED";
}

/// A canonical code of gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "they are gRPC's own")]
pub enum Code {
    Cancelled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

impl Code {
    /// The canonical name, such as `NOT_FOUND`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    fn of(code: tonic::Code) -> Self {
        match code {
            tonic::Code::Cancelled => Self::Cancelled,
            tonic::Code::InvalidArgument => Self::InvalidArgument,
            tonic::Code::DeadlineExceeded => Self::DeadlineExceeded,
            tonic::Code::NotFound => Self::NotFound,
            tonic::Code::AlreadyExists => Self::AlreadyExists,
            tonic::Code::PermissionDenied => Self::PermissionDenied,
            tonic::Code::ResourceExhausted => Self::ResourceExhausted,
            tonic::Code::FailedPrecondition => Self::FailedPrecondition,
            tonic::Code::Aborted => Self::Aborted,
            tonic::Code::OutOfRange => Self::OutOfRange,
            tonic::Code::Unimplemented => Self::Unimplemented,
            tonic::Code::Internal => Self::Internal,
            tonic::Code::Unavailable => Self::Unavailable,
            tonic::Code::DataLoss => Self::DataLoss,
            tonic::Code::Unauthenticated => Self::Unauthenticated,
            tonic::Code::Ok | tonic::Code::Unknown => Self::Unknown,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What went wrong. Act on [`code`](Self::code) and [`reason`](Self::reason); the message is for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}{}", .0.code, .0.message, Suffix(&.0.reason))]
pub struct Error(Box<Parts>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    code: Code,
    reason: String,
    message: String,
    metadata: BTreeMap<String, String>,
    retry_after: Option<Duration>,
}

struct Suffix<'a>(&'a str);

impl fmt::Display for Suffix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " ({})", self.0) }
    }
}

impl Error {
    pub(crate) fn new(code: Code, reason: &str, message: impl Into<String>) -> Self {
        let metadata = BTreeMap::new();
        Self(Box::new(Parts { code, reason: reason.into(), message: message.into(), metadata, retry_after: None }))
    }

    pub(crate) fn invalid(field: &str, rule: impl fmt::Display) -> Self {
        Self::new(Code::InvalidArgument, reason::INVALID_FIELD, format!("{field}: {rule}")).with("field", field)
    }

    pub(crate) fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.0.metadata.insert(key.into(), value.into());
        self
    }

    /// A failure below gRPC (no connection, a cut one) is UNAVAILABLE, whatever code the transport made of it: only
    /// what the server itself answered keeps its code.
    pub(crate) fn from_status(status: &Status) -> Self {
        if let Some(source) = status.source() {
            if chain(source).any(|error| error.is::<tonic::TimeoutExpired>()) {
                return Self::new(
                    Code::DeadlineExceeded,
                    reason::DEADLINE_EXCEEDED,
                    "no answer within the deadline",
                );
            }
            return Self::new(Code::Unavailable, "", describe(status.message(), source));
        }
        let mut error = Self::new(Code::of(status.code()), "", status.message());
        if let Some(info) = status.get_details_error_info() {
            error.0.reason = info.reason;
            error.0.metadata = info.metadata.into_iter().collect();
        }
        error.0.retry_after = status.get_details_retry_info().and_then(|info| info.retry_delay);
        error
    }

    /// gRPC's code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The stable reason, such as `SECRET_NOT_FOUND`; empty when the failure has none.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// For people. Never holds a value or a token.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The message's dynamic parts.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.0.metadata
    }

    /// How long the server asks to wait before another attempt.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// True for a typed absence: the secret does not exist, or has no slot for the question.
    pub fn is_absent(&self) -> bool {
        self.0.code == Code::NotFound
    }
}

/// The chain of causes, without repeating one that already contains the next.
fn describe(message: &str, source: &(dyn std::error::Error + 'static)) -> String {
    let mut text = message.to_owned();
    for part in chain(source).map(ToString::to_string) {
        if !text.contains(&part) {
            text = if text.is_empty() { part } else { format!("{text}: {part}") };
        }
    }
    text
}

fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |&error: &&'a (dyn std::error::Error + 'static)| error.source())
}
