//! The queues: where jobs wait, whatever keeps them.
//!
//! [`Queue`] is what a layout of jobs can do, always in batches; [`worker`] turns one into an apalis worker.

pub mod apalis;
mod backend;
pub mod embedded;
mod held;
mod ids;
mod settler;
pub mod worker;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use ulid::Ulid;

use crate::outcome::Outcome;

/// What a producer asked for, as it was claimed.
#[derive(Debug)]
pub struct Job {
    /// Which one, within its queue.
    pub id: String,
    /// The queue it came from.
    pub queue: &'static str,
    /// Its data, not looked at yet.
    pub data: Vec<u8>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was claimed, in milliseconds since 1970, by the queue's clock.
    pub claimed_ms: i64,
    /// Which attempt this is, from 1 on.
    pub attempt: u32,
    /// How many attempts the producer allows, when it said so.
    pub max_attempts: Option<u32>,
    /// How often a process died while this job ran.
    pub crashes: u32,
    /// How often it was claimed, this time counted.
    pub claims: u32,
    /// The fencing token of this claim.
    pub lease: Lease,
}

impl Job {
    /// What a domain may know of the job.
    #[must_use]
    pub fn origin(&self) -> Origin<'_> {
        Origin { queue: self.queue, id: &self.id, created_ms: self.created_ms, redelivered: self.claims > 1 }
    }
}

/// Which job an effect comes from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The queue.
    pub queue: &'a str,
    /// The job's id within it.
    pub id: &'a str,
    /// When the job was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// Whether it was claimed before: some or all of its effect may be there.
    pub redelivered: bool,
}

/// A fencing token: all jobs of one claim share one, no two claims do.
pub type Lease = Arc<str>;

/// A new fencing token.
#[must_use]
pub fn new_lease() -> Lease {
    Ulid::generate().to_string().into()
}

/// What one claim gave.
#[derive(Debug, Default)]
pub struct Claim {
    /// The jobs, leased to us.
    pub jobs: Vec<Job>,
    /// Ids that stood in the queue with no data behind them, or with data that cannot be read; dropped or buried.
    pub broken: Vec<String>,
    /// When the next job falls due, if none is now and one will be.
    pub next_due: Option<Duration>,
}

/// How a claimed job leaves our hands.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It is done.
    Done,
    /// It is to be tried again after this time; an attempt is counted.
    Retry(Duration),
    /// It will not be tried again, for this reason: a dead letter.
    Bury(String),
    /// It was not finished, for no fault of its own: back to the front, no attempt counted.
    Release,
}

/// The end of one claim of one job, with what its user is told.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The job.
    pub id: String,
    /// The fencing token that it was claimed with.
    pub lease: Lease,
    /// What becomes of it.
    pub verdict: Verdict,
    /// The outcome, kept in the same step.
    pub outcome: Option<Outcome>,
}

/// How many jobs are in which state.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Can be claimed.
    pub waiting: u64,
    /// Wait for their time.
    pub delayed: u64,
    /// Are leased.
    pub active: u64,
    /// Dead letters.
    pub dead: u64,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Can be claimed.
    Waiting,
    /// Waits for its time.
    Delayed,
    /// Is leased.
    Active,
    /// Was done.
    Done,
    /// Is a dead letter.
    Failed,
}

/// What is known of a job.
#[derive(Debug)]
pub struct Look {
    /// Where it stands.
    pub state: State,
    /// Its data, while it is in the queue.
    pub data: Option<Vec<u8>>,
    /// Its outcome, once there is one.
    pub outcome: Option<Outcome>,
}

/// A queue that cannot do what it was asked now; the same may succeed later.
#[derive(Debug, thiserror::Error)]
#[error("the queue is not available: {0}")]
pub struct QueueError(#[from] Box<dyn std::error::Error + Send + Sync>);

/// One queue in one layout. All operations take batches, and can be repeated after an error.
#[async_trait]
pub trait Queue: Send + Sync {
    /// The queue's name, without a prefix.
    fn name(&self) -> &'static str;

    /// Adds a job, and gives its id.
    async fn push(&self, data: Vec<u8>) -> Result<String, QueueError>;

    /// Leases up to `max` jobs under `lease`. Called again with the same lease, after an error hid the answer, it
    /// gives the same jobs.
    async fn claim(&self, lease: &Lease, max: usize) -> Result<Claim, QueueError>;

    /// Ends claims and keeps outcomes, each pair in one step. `false` for those whose lease was lost.
    async fn settle(&self, batch: &[Settlement]) -> Result<Vec<bool>, QueueError>;

    /// Prolongs leases. `false` for those that were lost.
    async fn renew(&self, held: &[(String, Lease)]) -> Result<Vec<bool>, QueueError>;

    /// Takes back jobs whose lease has run out, counting a crash for each; gives how many.
    async fn rescue(&self) -> Result<usize, QueueError>;

    /// How many jobs are in which state.
    async fn counts(&self) -> Result<Counts, QueueError>;

    /// What is known of a job.
    async fn look(&self, id: &str) -> Result<Option<Look>, QueueError>;

    /// Waits until there may be something new to claim.
    async fn woken(&self);
}
