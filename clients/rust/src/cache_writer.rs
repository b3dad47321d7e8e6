//! Writes a set's cache file: one write at a time, the newest state wins.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::cache::{self, Key, Snapshot};
use crate::shared::Shared;

const PROGRESS_EVERY: Duration = Duration::from_secs(60);

/// The newest snapshot and its place in the order of saves.
#[derive(Clone)]
struct Wanted {
    number: u64,
    snapshot: Option<Arc<Snapshot>>,
    /// A change is written at once, mere progress now and then.
    urgent: bool,
}

pub(crate) struct CacheWriter {
    wanted: watch::Sender<Wanted>,
    written: watch::Receiver<u64>,
}

impl CacheWriter {
    pub fn start(path: PathBuf, key: Arc<Key>, shared: &Arc<Shared>) -> Self {
        let (wanted, next) = watch::channel(Wanted { number: 0, snapshot: None, urgent: false });
        let (done, written) = watch::channel(0);
        let task = Task { path, key, shared: Arc::clone(shared), wanted: next, written: done, last: None };
        shared.tasks.spawn(task.run());
        Self { wanted, written }
    }

    pub fn save(&self, snapshot: Snapshot, urgent: bool) {
        self.wanted.send_modify(|wanted| {
            let unwritten = wanted.number > *self.written.borrow();
            wanted.urgent = urgent || (wanted.urgent && unwritten);
            wanted.number += 1;
            wanted.snapshot = Some(Arc::new(snapshot));
        });
    }

    /// Until the first save is written, or could not be.
    pub fn first_write(&self) -> impl Future<Output = ()> + use<> {
        let mut written = self.written.clone();
        async move {
            // An error means that the writer is gone, with a runtime that was shut down.
            let _ = written.wait_for(|written| *written > 0).await;
        }
    }
}

struct Task {
    path: PathBuf,
    key: Arc<Key>,
    shared: Arc<Shared>,
    wanted: watch::Receiver<Wanted>,
    written: watch::Sender<u64>,
    last: Option<Instant>,
}

impl Task {
    async fn run(mut self) {
        let stop = self.shared.stop.clone();
        while stop.run_until_cancelled(self.due()).await == Some(true) {
            self.write().await;
        }
        if self.wanted.borrow().number > *self.written.borrow() {
            self.write().await;
        }
    }

    /// False when nothing more will come.
    async fn due(&mut self) -> bool {
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            let unwritten = wanted.number > *self.written.borrow();
            let pause = self.last.map_or(Duration::ZERO, |last| PROGRESS_EVERY.saturating_sub(last.elapsed()));
            if unwritten && (wanted.urgent || pause.is_zero()) {
                return true;
            }
            tokio::select! {
                () = tokio::time::sleep(pause), if unwritten => {}
                changed = self.wanted.changed() => if changed.is_err() { return false },
            }
        }
    }

    async fn write(&mut self) {
        let Wanted { number, snapshot, .. } = self.wanted.borrow().clone();
        if let Some(snapshot) = snapshot {
            let (path, key) = (self.path.clone(), Arc::clone(&self.key));
            let outcome = tokio::task::spawn_blocking(move || cache::write(&path, &key, &snapshot)).await;
            if let Ok(Err(error)) = outcome {
                self.shared.warnings.warn("the cache file was not written", &error);
            }
        }
        self.last = Some(Instant::now());
        self.written.send_replace(number);
    }
}
