//! The queues: where jobs wait, whatever keeps them.
//!
//! [`Queue`] is what a layout of jobs can do, always in batches; [`worker`] turns one into an apalis worker.

pub mod apalis;
mod backend;
pub mod bull;
mod connection;
pub mod embedded;
mod held;
mod ids;
mod keep;
pub mod letters;
pub mod log;
mod long;
mod once;
mod settler;
mod slots;
mod wake;
pub mod worker;

use std::{ops::AddAssign, sync::Arc, time::Duration};

use async_trait::async_trait;
use ulid::Ulid;

pub use connection::{Connection, Server, connect};
pub use once::{KEY_TTL, NoKey, OnceKey, Pushed, key_text};
pub use wake::{Channel, Listener, Wake};

use crate::outcome::Outcome;

/// What a producer asked for, as it was claimed.
#[derive(Debug)]
pub struct Job {
    /// Which one, within its queue.
    pub id: String,
    /// The queue it came from.
    pub queue: &'static str,
    /// The layout of that queue.
    pub layout: &'static str,
    /// Its data, not looked at yet.
    pub data: Vec<u8>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was claimed, in milliseconds since 1970, by the queue's clock.
    pub claimed_ms: i64,
    /// Which attempt this is, from 1 on.
    pub attempt: u32,
    /// How often a process died while this job ran. With the second it is a suspect, and runs alone from then on.
    pub crashes: u32,
    /// Whether it was claimed before: some or all of its effect may be there.
    pub redelivered: bool,
    /// What its producer asked of the queue.
    pub options: Options,
    /// The fencing token of this claim.
    pub lease: Lease,
}

impl Job {
    /// Whether processes seem to die of it. One that was killed is no proof against all that it ran.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.crashes > 1
    }

    /// What a domain may know of the job.
    #[must_use]
    pub fn origin(&self) -> Origin<'_> {
        // The retry of a failed job by Bull hides that it was claimed before, but not its attempts.
        let first = !self.redelivered && self.attempt == 1 && self.crashes == 0;
        let sole_until_ms = if first { self.claimed_ms + SOLE_MS } else { 0 };
        Origin { queue: self.queue, id: &self.id, created_ms: self.created_ms, sole_until_ms }
    }
}

/// Shorter than any lease, by more than the clocks of two servers differ.
const SOLE_MS: i64 = 1000;

/// What a producer asked of the queue for one job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Attempts in all, when it said so.
    pub attempts: Option<u32>,
    /// The pause before the next attempt, when it said so.
    pub backoff: Option<Duration>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// What is kept of the job when it is done.
    pub keep_done: Keep,
    /// What is kept of it when it has failed for good.
    pub keep_failed: Keep,
    /// Whether it goes before the others when it is tried again at once.
    pub lifo: bool,
    /// Whether it may hold a debounce key of Bull, which is freed when it ends.
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
    /// When the job was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// Until when no other run of the job can have begun, in milliseconds since 1970; 0 when one has perhaps.
    pub sole_until_ms: i64,
}

/// A fencing token: all jobs of one claim share one, no two claims do.
pub type Lease = Arc<str>;

/// A new fencing token.
#[must_use]
pub fn new_lease() -> Lease {
    Ulid::generate().to_string().into()
}

/// What one claim may take.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Jobs at the most.
    pub jobs: usize,
    /// How many of these are the newest, where more than twice as many jobs wait.
    pub newest: usize,
    /// Whether our process runs nothing else: only then a suspect is given.
    pub alone: bool,
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
    /// Whether the next job is a suspect: two processes may have died of it, and it is given only alone.
    pub suspect: bool,
}

/// How a claimed job leaves our hands.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It is done.
    Done,
    /// It is to be tried again after this time, for this reason; an attempt is counted.
    Retry(Duration, String),
    /// It will not be tried again, for this reason: a dead letter.
    Bury(String),
    /// It was not finished in time, for no fault of its own: back to the front, no attempt counted.
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
    /// What its producer asked of the queue.
    pub options: Options,
    /// The outcome, kept in the same step.
    pub outcome: Option<Outcome>,
}

/// What became of a settlement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Nothing: the lease was lost, and another may run the job.
    Lost,
    /// The job is settled, with no outcome.
    Quietly,
    /// The job is settled, and its outcome is in the log.
    Logged(log::Place),
    /// One of these: an error hid the answer.
    Unsure,
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

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.waiting += more.waiting;
        self.delayed += more.delayed;
        self.active += more.active;
        self.dead += more.dead;
    }
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

    /// The name of its layout.
    fn layout(&self) -> &'static str;

    /// Leases jobs under `lease`, as many as there is room for. Called again with the same lease, after an error hid the
    /// answer, it gives the same jobs. One claim at a time.
    async fn claim(&self, lease: &Lease, room: Room) -> Result<Claim, QueueError>;

    /// Ends claims and keeps outcomes, each pair in one step.
    async fn settle(&self, batch: &[Settlement]) -> Result<Vec<Settled>, QueueError>;

    /// Prolongs leases. `false` for those that were lost.
    async fn renew(&self, held: &[(String, Lease)]) -> Result<Vec<bool>, QueueError>;

    /// Takes back jobs whose lease has run out, counting a crash for each; gives how many.
    async fn rescue(&self) -> Result<usize, QueueError>;

    /// How many jobs are in which state.
    async fn counts(&self) -> Result<Counts, QueueError>;

    /// Whether what keeps the queue answers.
    async fn ping(&self) -> Result<(), QueueError>;

    /// Waits until there may be something new to claim.
    async fn woken(&self);
}

/// A queue that we put jobs into, and look at them in.
#[async_trait]
pub trait Inbox: Queue {
    /// Adds a job, and gives its id.
    async fn push(&self, data: Vec<u8>) -> Result<String, QueueError>;

    /// Adds a job unless `key` stands for one, in one step with the taking of the key: pushed again, after an error hid
    /// the answer, it is the same job. The key stands for it for [`KEY_TTL`].
    async fn push_once(&self, data: Vec<u8>, key: &OnceKey) -> Result<Pushed, QueueError>;

    /// What is known of a job.
    async fn look(&self, id: &str) -> Result<Option<Look>, QueueError>;
}
