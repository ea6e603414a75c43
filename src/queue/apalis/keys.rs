//! The names of a queue's keys in Redis.

use apalis_redis::Config as Layout;

/// Keys of one queue. The first four belong to apalis-redis; the others are our own additions.
pub(super) struct Keys {
    /// List of ids that can be claimed, oldest first.
    pub active: String,
    /// Sorted set of ids by the time they fall due, in seconds. Every stock push goes here.
    pub scheduled: String,
    /// Hash of data by id.
    pub data: String,
    /// Prefix of the hash of one job: `<queue>:meta:<id>`.
    pub meta: String,
    /// Sorted set of leased ids by the time the lease expires, in milliseconds.
    pub leases: String,
    /// What the last claim of this process returned, packed: `<queue>:claim:<process>`.
    pub claim: String,
    /// Hash of the places of outcomes in the log, `<place> <user>`, by job.
    pub places: String,
    /// The hash that `places` replaced.
    pub old_places: String,
    /// Since when `places` has been written to, in milliseconds.
    pub places_since: String,
    /// Prefix of idempotency keys, which all queues share: `<prefix>octavo:key:<hash>`.
    pub once: String,
    /// Hash of the jobs that count for their users, `<bytes> <user>`, by job.
    pub counted: String,
    /// Prefix of what counts for one user, in all queues: `<prefix>octavo:quota:<user>`.
    pub quota: String,
}

impl Keys {
    /// The keys of the queue of `layout`, whose name begins with `prefix`, for the process identified by `process`.
    pub(super) fn new(layout: &Layout, prefix: &str, process: &str) -> Self {
        let ours = |name: &str| format!("{}:{name}", layout.queue.as_ref());
        Self {
            active: layout.active_jobs_list(),
            scheduled: layout.scheduled_jobs_set(),
            data: layout.job_data_hash(),
            meta: layout.job_meta_hash() + ":",
            leases: ours("leases"),
            claim: ours(&format!("claim:{process}")),
            places: ours("places"),
            old_places: ours("places:old"),
            counted: ours("counted"),
            places_since: ours("places:since"),
            once: format!("{prefix}octavo:key:"),
            quota: format!("{prefix}octavo:quota:"),
        }
    }
}
