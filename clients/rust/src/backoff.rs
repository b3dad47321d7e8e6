//! Exponential backoff with full jitter.

use std::time::Duration;

use crate::random;

/// The longest wait.
pub(crate) const CAP: Duration = Duration::from_secs(10);

const BASE: Duration = Duration::from_millis(100);

/// Waits `random(0 ..= min(cap, 100 ms · 2^n))`; n rises with each failure.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    pub fn next(&mut self, cap: Duration) -> Duration {
        let ceiling = BASE.saturating_mul(1 << self.failures.min(16)).min(cap);
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(random::fraction())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_start_over() {
        let mut backoff = Backoff::default();
        for failures in 0..40 {
            let ceiling = Duration::from_millis(100 << failures.min(7)).min(CAP);
            assert!(backoff.next(CAP) <= ceiling);
        }
        backoff.reset();
        assert!(backoff.next(CAP) <= Duration::from_millis(100));
    }
}
