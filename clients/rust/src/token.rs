//! Where the token comes from: a value, a file that may change, or a callback.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use tonic::metadata::{Ascii, MetadataValue};
use zeroize::Zeroizing;

use crate::error::{Code, Error, Result, reason};

type BoxError = Box<dyn StdError + Send + Sync>;
type Reading = Pin<Box<dyn Future<Output = Result<String, BoxError>> + Send>>;

/// The header `authorization: Bearer …`, marked sensitive.
pub(crate) type Bearer = MetadataValue<Ascii>;

/// How the caller proves who it is. Prints without the token.
#[derive(Clone)]
pub struct Token(pub(crate) Source);

#[derive(Clone)]
pub(crate) enum Source {
    None,
    Value(Arc<Zeroizing<String>>),
    File(PathBuf),
    Callback(Arc<dyn Fn() -> Reading + Send + Sync>),
}

impl Token {
    /// No token: a client certificate, or a server that asks for none.
    pub fn none() -> Self {
        Self(Source::None)
    }

    /// A token that does not change.
    pub fn value(token: impl Into<String>) -> Self {
        Self(Source::Value(Arc::new(Zeroizing::new(token.into()))))
    }

    /// A file that may change; white space around the token is trimmed.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(path.into()))
    }

    /// A function that is asked before each stream and each unary call.
    pub fn callback<F, R, E>(f: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self(Source::Callback(Arc::new(move || {
            let reading = f();
            Box::pin(async move { reading.await.map_err(Into::into) })
        })))
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self.0, Source::None)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::None => "Token(none)",
            Source::Value(_) => "Token([secret])",
            Source::File(_) => "Token(file)",
            Source::Callback(_) => "Token(callback)",
        })
    }
}

/// Which reading a caller needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Read now.
    Now,
    /// A file read less than a second ago is fresh enough.
    Second,
}

/// Reads the token, and keeps the last good one for when reading fails.
pub(crate) struct TokenReader {
    token: Token,
    last: Mutex<Option<(Bearer, Instant)>>,
}

impl TokenReader {
    pub fn new(token: Token) -> Self {
        Self { token, last: Mutex::default() }
    }

    pub async fn read(&self, freshness: Freshness) -> Result<Option<Bearer>> {
        if self.token.is_none() {
            return Ok(None);
        }
        let mut last = self.last.lock().await;
        if let Some((bearer, read)) = &*last {
            let fresh = match self.token.0 {
                Source::None | Source::Value(_) => true,
                Source::File(_) => freshness == Freshness::Second && read.elapsed() < Duration::from_secs(1),
                Source::Callback(_) => false,
            };
            if fresh {
                return Ok(Some(bearer.clone()));
            }
        }
        match self.read_now().await {
            Ok(bearer) => *last = Some((bearer, Instant::now())),
            Err(error) if last.is_none() => return Err(error),
            Err(error) => tracing::warn!(%error, "the last good token is used"),
        }
        Ok(last.as_ref().map(|(bearer, _)| bearer.clone()))
    }

    async fn read_now(&self) -> Result<Bearer> {
        let unreadable = |why: String| Error::new(Code::Unauthenticated, reason::TOKEN_UNREADABLE, why);
        let text = match &self.token.0 {
            Source::None => Zeroizing::default(),
            Source::Value(token) => Zeroizing::clone(token),
            Source::File(path) => tokio::fs::read_to_string(path)
                .await
                .map(Zeroizing::new)
                .map_err(|error| unreadable(format!("token file {}: {error}", path.display())))?,
            Source::Callback(ask) => {
                // The callback's own words may hold the token: they are not passed on.
                ask().await.map(Zeroizing::new).map_err(|_| unreadable("the token callback failed".into()))?
            }
        };
        if text.trim().is_empty() {
            return Err(unreadable("the token is empty".into()));
        }
        let header = Zeroizing::new(format!("Bearer {}", text.trim()));
        let mut bearer = Bearer::try_from(header.as_str())
            .map_err(|_| unreadable("the token holds characters that a header can't".into()))?;
        bearer.set_sensitive(true);
        Ok(bearer)
    }
}
