//! All handles that share one stream.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::handle::Handle;
use crate::shared::Shared;

/// Keeps the stream going while a set or a handle of it is there.
pub(crate) struct Open(Arc<Shared>);

impl Open {
    pub fn shared(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// The handles of the secrets that were opened together. Cheap to clone. Following ends with
/// [`close`](Self::close), or when the last clone and the last handle are dropped.
#[derive(Clone)]
pub struct Set(Arc<Open>);

impl Set {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(Arc::new(Open(shared)))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }

    /// The handle of one secret.
    ///
    /// # Errors
    /// INVALID_ARGUMENT `NAME_NOT_DECLARED` for a name that was not opened.
    pub fn handle(&self, name: &str) -> Result<Handle> {
        let cell = Arc::clone(self.shared().cell(name)?);
        Ok(Handle::new(Arc::clone(&self.0), cell))
    }

    /// The names, in the order declared.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.shared().names.iter().map(|name| &**name)
    }

    /// Time since the server was last heard, by a clock that does not jump; none when never.
    pub fn age(&self) -> Option<Duration> {
        self.shared().age()
    }

    /// True while the values come from the cache file and the server has not confirmed or replaced them yet.
    pub fn is_stale(&self) -> bool {
        self.shared().is_stale()
    }

    /// Ends the stream, the callbacks and the derived values, and waits for them; writes the cache if need be.
    /// Handles go on answering with what they had. Calling it again does nothing.
    pub async fn close(&self) {
        self.shared().stop();
        self.shared().tasks.wait().await;
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.names().collect();
        f.debug_struct("Set").field("names", &names).field("stale", &self.is_stale()).finish_non_exhaustive()
    }
}
