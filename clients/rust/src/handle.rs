//! A handle: the always-newest state of one secret.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use crate::changes::{Change, Changes, Subscription, call_for_each};
use crate::derived::Derived;
use crate::error::Result;
use crate::set::Open;
use crate::shared::Cell;
use crate::state::{State, Version};

/// The always-newest state of one secret. Reading is one atomic load: no lock, no I/O, no waiting. It goes on
/// answering with what it knows while the server is away, and after the set is closed.
///
/// Cheap to clone. The set's stream stays alive while any of its handles does.
#[derive(Clone)]
pub struct Handle {
    open: Arc<Open>,
    cell: Arc<Cell>,
    name: Arc<str>,
}

impl Handle {
    pub(crate) fn new(open: Arc<Open>, cell: Arc<Cell>) -> Self {
        let name = Arc::clone(&cell.state.load().name);
        Self { open, cell, name }
    }

    /// The secret's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value in the enabled slot with the largest number.
    ///
    /// # Errors
    /// NOT_FOUND when the server said that there is none (`SECRET_NOT_FOUND`, `NO_EFFECTIVE_SLOT`); DATA_LOSS when
    /// the server can't open it. Never because the server is away.
    pub fn current(&self) -> Result<Version> {
        Version::current(self.cell.state.load())
    }

    /// The value in the enabled slot with the largest number at or below `at` (0 to 2^63−1).
    ///
    /// # Errors
    /// As [`current`](Self::current), and NOT_FOUND `NO_EFFECTIVE_SLOT` when every slot is above `at`.
    pub fn effective_at(&self, at: u64) -> Result<Version> {
        Version::effective_at(self.cell.state.load(), at)
    }

    /// The values that a verifier should accept for something made at `t` by a clock that may be off by `overlap`:
    /// all that are effective somewhere in `t − overlap ..= t + overlap`, largest slot first, no value twice. Slots
    /// that the server can't open are left out.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a number above 2^63−1. An absent secret gives an empty list.
    pub fn acceptable(&self, t: u64, overlap: u64) -> Result<Vec<Version>> {
        Version::acceptable(&self.cell.state.load_full(), t, overlap)
    }

    /// The whole state.
    pub fn state(&self) -> Arc<State> {
        self.cell.state.load_full()
    }

    /// Calls `f` after each applied change, in order, one call at a time, on a thread where it may block. A slow `f`
    /// delays its own later calls only; a panic in it is logged. Not called for the state there is now.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn on_change<F>(&self, f: F) -> Subscription
    where
        F: FnMut(&Change) + Send + 'static,
    {
        let shared = self.open.shared();
        let stop = shared.stop.child_token();
        shared.tasks.spawn(call_for_each(self.changes(), f, stop.clone()));
        Subscription::new(stop)
    }

    /// The changes from now on as a stream.
    pub fn changes(&self) -> Changes {
        self.open.shared().subscribe(&self.name)
    }

    /// A resource built from the current version, such as a database pool. It is built now, and again whenever slot
    /// or bytes of the current value change: the new one is published, then the old one is given to `close`. While
    /// building fails, the old one stays and building is tried again; while the secret is absent, too.
    ///
    /// # Errors
    /// That of the first build, or of [`current`](Self::current).
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub async fn derived<T, E, B, BF, C, CF>(
        &self,
        build: B,
        close: C,
    ) -> Result<Derived<T>, Box<dyn StdError + Send + Sync>>
    where
        T: Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + Send + 'static,
        B: Fn(Version) -> BF + Send + Sync + 'static,
        BF: Future<Output = Result<T, E>> + Send + 'static,
        C: Fn(Arc<T>) -> CF + Send + Sync + 'static,
        CF: Future<Output = ()> + Send + 'static,
    {
        Derived::start(self.open.shared(), Arc::clone(&self.cell), build, close).await
    }
}

/// Prints the state without values.
impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("state", &self.cell.state.load()).finish_non_exhaustive()
    }
}
