//! What `connect` and `open` take, with their defaults in one place.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use secretslots_stubs::v1::WatchView;

use crate::error::Error;
use crate::shared::Warnings;
use crate::token::Token;

/// TLS, with files in PEM that are read again when they change. The default is the system's roots and no client
/// certificate.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    pub(crate) ca: Option<PathBuf>,
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    pub(crate) server_name: Option<String>,
}

impl Tls {
    /// The system's roots.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the certificates of this file instead of the system's roots.
    #[must_use]
    pub fn ca(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca = Some(path.into());
        self
    }

    /// A client certificate and its key.
    #[must_use]
    pub fn identity(mut self, cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.identity = Some((cert.into(), key.into()));
        self
    }

    /// The name that the server's certificate must have; the address's host by default.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }
}

/// How to reach the server.
#[derive(Clone)]
pub struct ConnectOptions {
    pub(crate) address: String,
    pub(crate) token: Token,
    pub(crate) tls: Option<Tls>,
    pub(crate) allow_plaintext: bool,
    pub(crate) timeout: Duration,
    pub(crate) max_attempts: u32,
    pub(crate) warnings: Warnings,
}

impl ConnectOptions {
    /// `host:port`, `[v6]:port` or `unix:PATH`.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            token: Token::none(),
            tls: None,
            allow_plaintext: false,
            timeout: Duration::from_secs(5),
            max_attempts: 5,
            warnings: Warnings::default(),
        }
    }

    /// The token; none by default.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.token = token;
        self
    }

    /// Switches TLS on.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Sends the token even in the clear to another machine. Off by default.
    #[must_use]
    pub fn allow_plaintext(mut self, allow: bool) -> Self {
        self.allow_plaintext = allow;
        self
    }

    /// The deadline of a unary call, all its attempts together; 5 s by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often a unary call is tried at most, at least once; 5 by default.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }

    /// Called with each warning: a cut stream, an unreadable file. Warnings go to `tracing` too. Neither ever holds a
    /// value or a token.
    #[must_use]
    pub fn on_warning(mut self, f: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.warnings = Warnings(Some(Arc::new(f)));
        self
    }
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("address", &self.address)
            .field("token", &self.token)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// Which slots a set follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Every enabled slot.
    #[default]
    AllEnabled,
    /// The current slot alone: `effective_at` and `acceptable` see that one only.
    Current,
}

impl View {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::AllEnabled => "ALL_ENABLED",
            Self::Current => "CURRENT",
        }
    }

    pub(crate) const fn on_the_wire(self) -> WatchView {
        match self {
            Self::AllEnabled => WatchView::AllEnabled,
            Self::Current => WatchView::Current,
        }
    }
}

/// How to open a set.
#[derive(Clone)]
pub struct OpenOptions {
    pub(crate) timeout: Duration,
    pub(crate) view: View,
    pub(crate) cache: Option<(PathBuf, Arc<Zeroizing<Vec<u8>>>)>,
}

impl OpenOptions {
    /// The defaults: 10 s, every enabled slot, no cache.
    pub fn new() -> Self {
        Self { timeout: Duration::from_secs(10), view: View::default(), cache: None }
    }

    /// How long to wait until every name has a value.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Which slots to follow.
    #[must_use]
    pub fn view(mut self, view: View) -> Self {
        self.view = view;
        self
    }

    /// Keeps the values in a file of mode 0600, sealed with AES-256-GCM, so that the program starts while the server
    /// is down. The key is 32 bytes; one of another length fails `open`.
    #[must_use]
    pub fn cache(mut self, path: impl Into<PathBuf>, key: &[u8]) -> Self {
        self.cache = Some((path.into(), Arc::new(Zeroizing::new(key.to_vec()))));
        self
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenOptions")
            .field("timeout", &self.timeout)
            .field("view", &self.view)
            .field("cache", &self.cache.as_ref().map(|(path, _)| path))
            .finish()
    }
}
