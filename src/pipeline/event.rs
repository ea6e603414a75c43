//! What the log says of a job.

use std::time::Duration;

use crate::queue::Job;

/// The one log event of a job.
pub(super) struct Event<'a> {
    pub job: &'a Job,
    pub user: Option<&'a str>,
    pub outcome: &'a str,
    pub reason: Option<&'a str>,
    pub took: Duration,
}

impl Event<'_> {
    /// Logs it.
    pub(super) fn log(&self) {
        let Self { job, user, outcome, reason, took } = self;
        let took_ms = (took.as_secs_f64() * 10_000.0).round() / 10.0;
        let waited_ms = u64::try_from(job.waited().as_millis()).unwrap_or(u64::MAX);
        macro_rules! event {
            ($level:ident) => {
                tracing::$level!(
                    job = job.id,
                    queue = job.queue,
                    layout = job.layout,
                    user,
                    attempt = job.attempt,
                    outcome,
                    reason,
                    waited_ms,
                    took_ms,
                    "job"
                )
            };
        }
        match *outcome {
            // There may be thousands a second: metrics count them, and their users are told.
            "done" | "postponed" => event!(debug),
            "refused" | "released" => event!(info),
            _ => event!(warn),
        }
    }
}
