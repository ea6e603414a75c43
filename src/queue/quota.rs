//! Quotas: what one user may put into the queues.

use std::time::Duration;

/// How long counts are kept after a user's last push, in case a job that was counted vanished.
pub(super) const KEPT: Duration = Duration::from_hours(24);

/// For how many seconds' worth of jobs there is room at once.
pub const BURST_SECONDS: u32 = 10;

/// A quota of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// Jobs that wait.
    JobsWaiting,
    /// Bytes of jobs that wait.
    BytesWaiting,
    /// Jobs per second.
    JobsPerSecond,
    /// New idempotency keys in a day.
    IdempotencyKeys,
    /// Requests that wait for an outcome.
    Waits,
}

impl Quota {
    /// Its name, that of its setting in `[quota]`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JobsWaiting => "jobs_waiting",
            Self::BytesWaiting => "bytes_waiting",
            Self::JobsPerSecond => "jobs_per_second",
            Self::IdempotencyKeys => "idempotency_keys",
            Self::Waits => "waits",
        }
    }

    /// The quota of a push with this name.
    pub(super) fn of(name: &str) -> Option<Self> {
        [Self::JobsWaiting, Self::BytesWaiting, Self::JobsPerSecond, Self::IdempotencyKeys]
            .into_iter()
            .find(|quota| quota.as_str() == name)
    }
}

/// A bucket that is filled at an even pace, as a time: the Generic Cell Rate Algorithm.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    /// How many it holds.
    pub most: u64,
    /// How long it takes to fill an empty one, in microseconds.
    pub window_us: i64,
}

impl Bucket {
    /// For so many a second, and [`BURST_SECONDS`] times as many at once.
    pub(crate) fn per_second(rate: u32) -> Self {
        let most = u64::from(rate) * u64::from(BURST_SECONDS);
        Self { most, window_us: i64::from(BURST_SECONDS) * 1_000_000 }
    }

    /// For so many within a day.
    pub(super) fn per_day(most: u32) -> Self {
        Self { most: most.into(), window_us: 24 * 3_600_000_000 }
    }

    /// Takes one at `now` from a bucket that is full again at `full`, both in microseconds. Returns when it is full then, how
    /// many are left, and how long until this one was there.
    pub(crate) fn take(self, full: i64, now: i64) -> (i64, u64, Duration) {
        let Some(each) = i64::try_from(self.most).ok().and_then(|most| self.window_us.checked_div(most))
        else {
            return (now, 0, Duration::ZERO);
        };
        let after = full.clamp(now, now + self.window_us) + each;
        let left = (now + self.window_us - after) / each.max(1);
        let wait = u64::try_from(after - now - self.window_us).unwrap_or(0);
        (after, u64::try_from(left).unwrap_or(0), Duration::from_micros(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_at_once_and_then_one_at_a_time() {
        let bucket = Bucket::per_second(2);
        let mut full = 0;
        let now = 5_000_000;
        for left in (0..20).rev() {
            let took;
            (full, took, _) = bucket.take(full, now);
            assert_eq!(took, left);
        }
        assert_eq!(bucket.take(full, now).2, Duration::from_millis(500));
        assert_eq!(bucket.take(full, now + 500_000).2, Duration::ZERO);
        assert_eq!(bucket.take(i64::MAX / 2, now).2, Duration::from_millis(500), "it was never so empty");
        assert_eq!(Bucket::per_second(0).take(full, now).2, Duration::ZERO, "no limit");
    }
}
