//! A resource built from a secret and rebuilt when the secret changes.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backoff::{Backoff, CAP};
use crate::error::{Code, Error, Result};
use crate::shared::{Cell, Shared};
use crate::state::Version;
use crate::value::SecretValue;

/// A resource that follows a secret. Reading it is one atomic load. It is closed with [`close`](Self::close), when
/// this is dropped, or with its set.
pub struct Derived<T> {
    resource: Arc<ArcSwap<T>>,
    stop: CancellationToken,
    closed: watch::Receiver<bool>,
}

impl<T: Send + Sync + 'static> Derived<T> {
    pub(crate) async fn start<E, B, BF, C, CF>(
        shared: &Arc<Shared>,
        cell: Arc<Cell>,
        build: B,
        close: C,
    ) -> Result<Self, Box<dyn StdError + Send + Sync>>
    where
        E: Into<Box<dyn StdError + Send + Sync>> + Send + 'static,
        B: Fn(Version) -> BF + Send + Sync + 'static,
        BF: Future<Output = Result<T, E>> + Send + 'static,
        C: Fn(Arc<T>) -> CF + Send + Sync + 'static,
        CF: Future<Output = ()> + Send + 'static,
    {
        let bell = cell.bell.subscribe();
        let version = Version::current(cell.state.load())?;
        let made_of = Source::of(&version);
        let resource = Arc::new(ArcSwap::from_pointee(build(version).await.map_err(Into::into)?));
        let stop = shared.stop.child_token();
        let (done, closed) = watch::channel(false);
        let builder = Builder {
            cell,
            bell,
            build,
            close,
            resource: Arc::clone(&resource),
            made_of,
            warnings: shared.warnings.clone(),
            stop: stop.clone(),
            done,
            tasks: shared.tasks.clone(),
        };
        shared.tasks.spawn(builder.run());
        Ok(Self { resource, stop, closed })
    }

    /// The resource as it is now.
    pub fn get(&self) -> Arc<T> {
        self.resource.load_full()
    }

    /// Stops following, and closes the resource. Calling it again does nothing.
    pub async fn close(&self) {
        self.stop.cancel();
        // An error means that the builder is gone, with a runtime that was shut down.
        let _ = self.closed.clone().wait_for(|closed| *closed).await;
    }
}

impl<T> Drop for Derived<T> {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl<T> fmt::Debug for Derived<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Derived").finish_non_exhaustive()
    }
}

/// What a resource was built of.
#[derive(PartialEq)]
struct Source {
    slot: u64,
    value: SecretValue,
}

impl Source {
    fn of(version: &Version) -> Self {
        Self { slot: version.slot(), value: version.value().clone() }
    }
}

struct Builder<T, B, C> {
    cell: Arc<Cell>,
    bell: watch::Receiver<()>,
    build: B,
    close: C,
    resource: Arc<ArcSwap<T>>,
    made_of: Source,
    warnings: crate::shared::Warnings,
    stop: CancellationToken,
    done: watch::Sender<bool>,
    tasks: TaskTracker,
}

impl<T, E, B, BF, C, CF> Builder<T, B, C>
where
    T: Send + Sync + 'static,
    E: Send + 'static,
    B: Fn(Version) -> BF + Send + Sync + 'static,
    BF: Future<Output = Result<T, E>> + Send + 'static,
    C: Fn(Arc<T>) -> CF + Send + Sync + 'static,
    CF: Future<Output = ()> + Send + 'static,
{
    async fn run(mut self) {
        let stop = self.stop.clone();
        stop.run_until_cancelled(self.follow()).await;
        let last = self.resource.load_full();
        self.close_one(last).await;
        self.done.send_replace(true);
    }

    /// One build at a time; values that came and went meanwhile are skipped. Waits at the bell until the current
    /// value is another one, and at the backoff too while building that one fails.
    async fn follow(&mut self) {
        let mut backoff = Backoff::default();
        let mut tried: Option<Source> = None;
        loop {
            self.bell.mark_unchanged();
            let wanted = Version::current(self.cell.state.load()).ok();
            let wanted =
                wanted.map(|version| (Source::of(&version), version)).filter(|(of, _)| *of != self.made_of);
            let Some((of, version)) = wanted else {
                backoff.reset();
                tried = None;
                self.rung().await;
                continue;
            };
            if tried.as_ref().is_some_and(|tried| *tried != of) {
                backoff.reset();
            }
            match self.attempt(version).await {
                Ok(new) => {
                    self.made_of = of;
                    let old = self.resource.swap(Arc::new(new));
                    self.close_one(old).await;
                }
                Err(error) => {
                    self.warnings.warn("a derived value could not be built; the old one stays", &error);
                    let retry = tokio::time::sleep(backoff.next(CAP));
                    self.wait(retry, &of).await;
                    tried = Some(of);
                }
            }
        }
    }

    /// The builder's own words may hold the value: they are not passed on.
    async fn attempt(&self, version: Version) -> Result<T> {
        let (name, slot) = (version.name().to_owned(), version.slot());
        let failed = |why| {
            let message = format!("building from slot {slot} of secret {name} {why}");
            Error::new(Code::Unknown, "", message).with("name", &*name).with("slot", slot.to_string())
        };
        let build = self.tasks.spawn((self.build)(version));
        let abort = AbortOnDrop(build.abort_handle());
        let outcome = build.await;
        drop(abort);
        match outcome {
            Ok(built) => built.map_err(|_| failed("failed")),
            Err(_) => Err(failed("panicked")),
        }
    }

    /// Until `retry`, or until the newest value is not the one that was `tried`.
    async fn wait(&mut self, retry: impl Future<Output = ()>, tried: &Source) {
        let mut retry = pin!(retry);
        loop {
            tokio::select! {
                () = &mut retry => return,
                () = self.rung() => {}
            }
            let newest = Version::current(self.cell.state.load()).ok();
            if newest.is_none_or(|version| Source::of(&version) != *tried) {
                return;
            }
        }
    }

    async fn rung(&mut self) {
        if self.bell.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn close_one(&self, old: Arc<T>) {
        if self.tasks.spawn((self.close)(old)).await.is_err() {
            tracing::warn!("closing a derived value panicked");
        }
    }
}

/// A build that is under way ends with the derived value.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
