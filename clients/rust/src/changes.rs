//! Telling subscribers of applied changes: exactly once each, in order, off the stream's own task.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::state::State;

/// One applied change of one secret.
#[derive(Clone, Debug)]
pub struct Change {
    /// The state before.
    pub previous: Arc<State>,
    /// The state now.
    pub current: Arc<State>,
    /// Whether what `current()` resolves to differs in slot, value, failure or absence.
    pub current_changed: bool,
}

impl Change {
    pub(crate) fn between(previous: Arc<State>, current: Arc<State>) -> Self {
        let (before, after) = (previous.current(), current.current());
        let same_slot = match (before, after) {
            (Some(before), Some(after)) => before.number == after.number && before.value == after.value,
            (None, None) => previous.absent() == current.absent(),
            _ => false,
        };
        Self { previous, current, current_changed: !same_slot }
    }

    /// The secret's name.
    pub fn name(&self) -> &str {
        self.current.name()
    }
}

/// The changes of one secret, as a stream. Ends when the set is closed. Changes wait here without bound until they
/// are taken; each is two pointers to states.
pub struct Changes(mpsc::UnboundedReceiver<Change>);

impl Changes {
    pub(crate) fn new(receiver: mpsc::UnboundedReceiver<Change>) -> Self {
        Self(receiver)
    }

    /// The next change; none when the set is closed.
    pub async fn next(&mut self) -> Option<Change> {
        self.0.recv().await
    }
}

impl Stream for Changes {
    type Item = Change;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Change>> {
        self.0.poll_recv(context)
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").finish_non_exhaustive()
    }
}

/// A callback's subscription. Dropping it changes nothing: the callback goes on until
/// [`unsubscribe`](Self::unsubscribe) or until the set is closed.
#[derive(Debug)]
pub struct Subscription(CancellationToken);

impl Subscription {
    pub(crate) fn new(token: CancellationToken) -> Self {
        Self(token)
    }

    /// Ends the calls. One that is running finishes.
    pub fn unsubscribe(self) {
        self.0.cancel();
    }
}

/// Calls `f` for one change at a time, on a thread where it may block; a panic in it ends neither us nor the calls.
pub(crate) async fn call_for_each<F>(mut changes: Changes, mut f: F, stop: CancellationToken)
where
    F: FnMut(&Change) + Send + 'static,
{
    loop {
        let change = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            change = changes.next() => match change {
                Some(change) => change,
                None => return,
            },
        };
        let call = move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| f(&change)));
            (f, outcome.is_err())
        };
        let Ok((returned, panicked)) = tokio::task::spawn_blocking(call).await else { return };
        if panicked {
            tracing::warn!("an on_change callback panicked");
        }
        f = returned;
    }
}
