//! The client against a scripted server: every fault on demand, nothing left to luck.
#![allow(clippy::unwrap_used, reason = "tests")]

mod cache;
mod connect;
mod fake;
mod handles;
mod open;
mod server;
mod streams;
mod tls;
mod unary;

use std::time::Duration;

/// Far above what anything here takes on a slow, shared machine.
const BOUND: Duration = Duration::from_secs(20);

/// Waits for a condition, with a bound.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < BOUND, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Awaits with a bound.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND, future).await.expect("it took too long")
}
