//! The names of a queue's keys, as in Bull.

/// Keys of one queue.
pub(super) struct Keys {
    /// What all of them begin with: `bull:<queue>:`. A job's hash is this and its id; its lock adds `:lock` to that.
    pub prefix: String,
    /// List of ids that can be claimed; the next one is at the end.
    pub wait: String,
    /// The same while the queue is paused.
    pub paused: String,
    /// Exists while the queue is paused.
    pub meta_paused: String,
    /// List of ids that are being worked on, newest first.
    pub active: String,
    /// Sorted set of ids by the time they fall due: milliseconds × 4096, plus 12 bits to keep their order.
    pub delayed: String,
    /// Sorted set of waiting ids that have a priority, by priority.
    pub priority: String,
    /// Sorted set of ids of done jobs that are kept, by the time they were done.
    pub completed: String,
    /// The same for failed jobs.
    pub failed: String,
    /// Set of active ids that are taken back at the next check, unless their lock is renewed before.
    pub stalled: String,
    /// Exists until the next check for stalled jobs is due.
    pub stalled_check: String,
    /// Sorted set of what Bull's producers repeat.
    pub repeat: String,
    /// What Bull's own workers count jobs with, if their rate is limited.
    pub limiter: String,
    /// Our own: what the last claim of this process returned, packed.
    pub claim: String,
}

impl Keys {
    /// The keys of `queue` under `prefix`, for the process identified by `process`.
    pub(super) fn new(prefix: &str, queue: &str, process: &str) -> Self {
        let key = |name: &str| format!("{prefix}:{queue}:{name}");
        Self {
            prefix: key(""),
            wait: key("wait"),
            paused: key("paused"),
            meta_paused: key("meta-paused"),
            active: key("active"),
            delayed: key("delayed"),
            priority: key("priority"),
            completed: key("completed"),
            failed: key("failed"),
            stalled: key("stalled"),
            stalled_check: key("stalled-check"),
            repeat: key("repeat"),
            limiter: key("limiter"),
            claim: key(&format!("claim:{process}")),
        }
    }
}
