//! A claimed job, and what its producer asked of the queue.

use std::time::Duration;

use super::Lease;

/// What a producer asked for, as it was claimed.
#[derive(Debug)]
pub struct Job {
    /// Its id within its queue.
    pub id: String,
    /// The queue it came from.
    pub queue: &'static str,
    /// The layout of that queue.
    pub layout: &'static str,
    /// Its data, not parsed yet.
    pub data: Vec<u8>,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was claimed, in milliseconds since 1970, by the queue's clock.
    pub claimed_ms: i64,
    /// Which attempt this is, counted from 1.
    pub attempt: u32,
    /// How often a process died while this job ran. From the second time on, it is a suspect and runs alone.
    pub crashes: u32,
    /// Whether it was claimed before: some or all of its effect may have happened already.
    pub redelivered: bool,
    /// What its producer asked of the queue.
    pub options: Options,
    /// The fencing token of this claim.
    pub lease: Lease,
}

impl Job {
    /// Whether it seems to kill processes. A single dead process is no proof against all the jobs that it ran.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.crashes > 1
    }

    /// How long it existed before it was claimed.
    #[must_use]
    pub fn waited(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.claimed_ms - self.created_ms).unwrap_or_default())
    }

    /// What a domain may know about the job.
    #[must_use]
    pub fn origin(&self) -> Origin<'_> {
        // Bull's own retry of a failed job hides that it was claimed before, but not its attempts.
        let first = !self.redelivered && self.attempt == 1 && self.crashes == 0;
        let sole_until_ms = if first { self.claimed_ms + SOLE_MS } else { 0 };
        Origin { queue: self.queue, id: &self.id, created_ms: self.created_ms, sole_until_ms }
    }
}

/// Shorter than any lease, by more than two servers' clocks differ.
const SOLE_MS: i64 = 1000;

/// What a producer asked of the queue for one job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Attempts in total, if it set a number.
    pub attempts: Option<u32>,
    /// The pause before the next attempt, if it set one.
    pub backoff: Option<Duration>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// What is kept of the job when it is done.
    pub keep_done: Keep,
    /// What is kept of it when it has failed for good.
    pub keep_failed: Keep,
    /// Whether it goes ahead of the others when it is tried again at once.
    pub lifo: bool,
    /// Whether it may hold one of Bull's debounce keys, which is freed when it ends.
    pub debounced: bool,
}

/// Which finished jobs are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keep {
    /// All of them.
    #[default]
    All,
    /// None.
    Nothing,
    /// The newest `count`, and those of the last `age_s` seconds.
    Some {
        /// How many.
        count: Option<u32>,
        /// For how long, in seconds.
        age_s: Option<u32>,
    },
}

/// Which job an effect comes from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The queue.
    pub queue: &'a str,
    /// The job's id within it.
    pub id: &'a str,
    /// When the job was created, in milliseconds since 1970.
    pub created_ms: i64,
    /// Until when no other run of the job can have begun, in milliseconds since 1970; 0 if one may have.
    pub sole_until_ms: i64,
}
