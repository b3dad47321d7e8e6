//! What a set's handles, its stream and its subscribers share. Readers take one pointer; only writers lock.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::changes::{Change, Changes};
use crate::error::{Code, Error, Result, reason};
use crate::state::{AbsentReason, Content, State};

const NEVER: u64 = u64::MAX;

/// One secret's place: readers load `state`, builders of derived values wait for `bell`.
pub(crate) struct Cell {
    pub state: ArcSwap<State>,
    pub bell: watch::Sender<()>,
}

type Subscribers = HashMap<Arc<str>, Vec<mpsc::UnboundedSender<Change>>>;

/// Called with what does no harm but should be known; never holds a value or a token.
pub(crate) type OnWarning = Arc<dyn Fn(&Error) + Send + Sync>;

/// Where warnings go: `tracing`, and the caller's own function if there is one.
#[derive(Clone, Default)]
pub(crate) struct Warnings(pub Option<OnWarning>);

impl Warnings {
    pub fn warn(&self, what: &str, error: &Error) {
        tracing::warn!(%error, "{what}");
        if let Some(on_warning) = &self.0 {
            on_warning(error);
        }
    }
}

pub(crate) struct Shared {
    /// In the order declared.
    pub names: Vec<Arc<str>>,
    cells: HashMap<Arc<str>, Arc<Cell>>,
    /// Held from publishing to telling, and while subscribing: a subscriber is told of each change after the state it
    /// subscribed at, and of no other.
    subscribers: Mutex<Subscribers>,
    born: Instant,
    heard: AtomicU64,
    stale: AtomicBool,
    pub warnings: Warnings,
    pub stop: CancellationToken,
    pub tasks: TaskTracker,
}

impl Shared {
    pub fn new(names: Vec<Arc<str>>, warnings: Warnings) -> Arc<Self> {
        let cells = names.iter().map(|name| {
            let unknown = State {
                name: Arc::clone(name),
                epoch: "".into(),
                revision: 0,
                content: Content::Absent(AbsentReason::NotExisting),
            };
            let cell = Cell { state: ArcSwap::from_pointee(unknown), bell: watch::Sender::new(()) };
            (Arc::clone(name), Arc::new(cell))
        });
        Arc::new(Self {
            cells: cells.collect(),
            names,
            subscribers: Mutex::default(),
            born: Instant::now(),
            heard: AtomicU64::new(NEVER),
            stale: AtomicBool::new(false),
            warnings,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }

    pub fn cell(&self, name: &str) -> Result<&Arc<Cell>> {
        self.cells.get(name).ok_or_else(|| {
            let message = format!("secret {name} was not declared when the set was opened");
            Error::new(Code::InvalidArgument, reason::NAME_NOT_DECLARED, message).with("name", name)
        })
    }

    pub fn states(&self) -> Vec<Arc<State>> {
        self.names.iter().map(|name| self.cells[name].state.load_full()).collect()
    }

    /// Publishes all states, and only then tells of them.
    pub fn publish(&self, states: &[Arc<State>]) {
        let mut subscribers = self.subscribers();
        let swap = |state: &Arc<State>| self.cells[&state.name].state.swap(Arc::clone(state));
        let previous: Vec<Arc<State>> = states.iter().map(swap).collect();
        for (previous, state) in previous.into_iter().zip(states) {
            self.cells[&state.name].bell.send_replace(());
            if let Some(senders) = subscribers.get_mut(&state.name) {
                let change = Change::between(previous, Arc::clone(state));
                senders.retain(|sender| sender.send(change.clone()).is_ok());
            }
        }
    }

    pub fn subscribe(&self, name: &Arc<str>) -> Changes {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut subscribers = self.subscribers();
        if !self.stop.is_cancelled() {
            subscribers.entry(Arc::clone(name)).or_default().push(sender);
        }
        Changes::new(receiver)
    }

    fn subscribers(&self) -> MutexGuard<'_, Subscribers> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.subscribers().clear();
    }

    pub fn heard_now(&self) {
        let since_born = u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(NEVER - 1);
        self.heard.store(since_born, Ordering::Relaxed);
    }

    /// Time since the server was last heard; none when never.
    pub fn age(&self) -> Option<Duration> {
        match self.heard.load(Ordering::Relaxed) {
            NEVER => None,
            heard => Some(self.born.elapsed().saturating_sub(Duration::from_nanos(heard))),
        }
    }

    pub fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Acquire)
    }

    pub fn set_stale(&self, stale: bool) {
        self.stale.store(stale, Ordering::Release);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("names", &self.names).finish_non_exhaustive()
    }
}
