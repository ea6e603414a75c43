//! Exponential backoff with full jitter.
//!
//! Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

use std::time::Duration;

use rand::RngExt;

const BASE: Duration = Duration::from_millis(100);
const CAP: Duration = Duration::from_secs(30);

/// A random pause before attempt `n + 1`, after `n` have failed: up to 100 ms, 200 ms, 400 ms … 30 s.
#[must_use]
pub fn pause(n: u32) -> Duration {
    let ceiling = BASE.saturating_mul(1 << n.saturating_sub(1).min(16)).min(CAP);
    rand::rng().random_range(Duration::ZERO..=ceiling)
}

/// Pauses between attempts at an operation that must succeed in the end: at most 1.6 s, so that it succeeds soon.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after one more failure; none after the first, since the next attempt usually succeeds.
    pub fn next(&mut self) -> Duration {
        self.failures += 1;
        if self.failures == 1 { Duration::ZERO } else { pause((self.failures - 1).min(5)) }
    }

    /// Whether nothing has failed yet.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.failures == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_cap_and_are_spread() {
        let longest = |n| (0..1000).map(|_| pause(n)).max().unwrap();
        assert!(longest(1) <= BASE);
        assert!(longest(3) > BASE && longest(3) <= BASE * 4);
        assert!(longest(100) > CAP / 2 && longest(100) <= CAP);
        assert!((0..1000).any(|_| pause(100) < CAP / 10));
    }
}
