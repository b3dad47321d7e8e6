//! Reads handles over and over on a thread of its own, and counts what must not happen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use secretslots::{Handle, MAX_NUMBER, Result, Version};
use serde_json::{Value, json};

#[derive(Default)]
struct Counts {
    reads: u64,
    failures: u64,
    backwards: u64,
    first_failure: String,
}

pub struct Hammer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Counts>,
}

impl Hammer {
    pub fn start(handles: Vec<Handle>, pause: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut counts = Counts::default();
            let mut seen: Vec<(String, u64)> = vec![Default::default(); handles.len()];
            let mut next = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                for (handle, seen) in handles.iter().zip(&mut seen) {
                    counts.read(handle.current(), seen);
                    counts.read(handle.effective_at(MAX_NUMBER), seen);
                }
                next += pause;
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            counts
        });
        Self { stop, thread }
    }

    pub fn stop(self) -> Value {
        self.stop.store(true, Ordering::Relaxed);
        let counts = self.thread.join().expect("the hammer does not panic");
        json!({
            "reads": counts.reads.to_string(),
            "failures": counts.failures.to_string(),
            "backwards": counts.backwards.to_string(),
            "firstFailure": counts.first_failure,
        })
    }
}

impl Counts {
    fn read(&mut self, read: Result<Version>, seen: &mut (String, u64)) {
        self.reads += 1;
        match read {
            Ok(version) => {
                if seen.0 == version.epoch() && version.revision() < seen.1 {
                    self.backwards += 1;
                }
                *seen = (version.epoch().to_owned(), version.revision());
            }
            Err(error) => {
                self.failures += 1;
                if self.first_failure.is_empty() {
                    self.first_failure = error.to_string();
                }
            }
        }
    }
}
