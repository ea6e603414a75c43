//! The queues: where jobs wait, whatever stores them.
//!
//! [`Queue`] is what every layout of jobs can do, always in batches; [`worker`] turns one into an apalis worker.

pub mod apalis;
mod backend;
pub mod bull;
mod connection;
pub mod embedded;
mod field;
pub(crate) mod fuzzing;
pub mod handler;
mod held;
mod ids;
mod job;
mod keep;
pub mod letters;
pub mod log;
mod long;
mod once;
pub(crate) mod quota;
mod settler;
mod slots;
mod spoilt;
mod wake;
pub mod worker;

use std::{ops::AddAssign, sync::Arc, time::Duration};

use async_trait::async_trait;
use ulid::Ulid;

pub use connection::{Connection, Server, connect};
pub use job::{Job, Keep, Options, Origin};
pub use once::{KEY_TTL, NoKey, OnceKey, Push, Pushed, key_text};
pub use quota::{BURST_SECONDS, Quota};
pub use wake::{Channel, Listener, Wake};

use crate::outcome::Outcome;

/// A fencing token: all jobs of one claim share it, and no two claims have the same one.
pub type Lease = Arc<str>;

/// A new fencing token.
#[must_use]
pub fn new_lease() -> Lease {
    Ulid::generate().to_string().into()
}

/// What one claim may take.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// The most jobs.
    pub jobs: usize,
    /// How many of these are the newest, if more than twice as many jobs wait.
    pub newest: usize,
    /// Whether our process is running nothing else: only then may a suspect be claimed.
    pub alone: bool,
}

/// What one claim returned.
#[derive(Debug, Default)]
pub struct Claim {
    /// The jobs, leased to us.
    pub jobs: Vec<Job>,
    /// Ids in the queue without data, or with data that cannot be read; they were dropped or buried.
    pub broken: Vec<String>,
    /// How long until the next job is due, if none is due now and one will be.
    pub next_due: Option<Duration>,
    /// Whether the next job is a suspect: it may have killed two processes, and is claimed only alone.
    pub suspect: bool,
    /// Whether the queue was paused on purpose: its jobs wait until it is resumed.
    pub paused: bool,
}

/// How a claimed job leaves our hands.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It is done.
    Done,
    /// It is tried again after this pause, for this reason; an attempt is counted.
    Retry(Duration, String),
    /// It will not be tried again, for this reason: a dead letter.
    Bury(String),
    /// It has failed for this reason, which only its user can mend: nothing is kept for an operator.
    Fail(String),
    /// It was not finished, through no fault of its own: back to the front of the queue, no attempt counted.
    Release,
    /// It was not begun, since its user has too many: it waits for this time, no attempt counted.
    Postpone(Duration),
}

/// The end of one claim of one job, with what its user is told.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The job.
    pub id: String,
    /// The fencing token it was claimed with.
    pub lease: Lease,
    /// What becomes of it.
    pub verdict: Verdict,
    /// What its producer asked of the queue.
    pub options: Options,
    /// The outcome, logged in the same step.
    pub outcome: Option<Outcome>,
}

/// What became of a settlement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Nothing: the lease was lost, and another process may run the job.
    Lost,
    /// The job is settled, without an outcome.
    Quietly,
    /// The job is settled, and its outcome is in the log.
    Logged(log::Place),
    /// One of the above: an error hid which.
    Unsure,
}

/// How many jobs are in each state.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Can be claimed.
    pub waiting: u64,
    /// Wait until they are due.
    pub delayed: u64,
    /// Are leased.
    pub active: u64,
    /// Dead letters.
    pub dead: u64,
    /// Whether the queue was paused on purpose.
    pub paused: bool,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.waiting += more.waiting;
        self.delayed += more.delayed;
        self.active += more.active;
        self.dead += more.dead;
        self.paused |= more.paused;
    }
}

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Can be claimed.
    Waiting,
    /// Waits until it is due.
    Delayed,
    /// Is leased.
    Active,
    /// Is done.
    Done,
    /// Is a dead letter.
    Failed,
}

/// What is known about a job.
#[derive(Debug)]
pub struct Look {
    /// Its state.
    pub state: State,
    /// Its data, while it is in the queue.
    pub data: Option<Vec<u8>>,
    /// Its outcome, once there is one.
    pub outcome: Option<Outcome>,
}

/// A queue cannot do now what it was asked to; the same request may succeed later.
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
    /// answer, it returns the same jobs. One claim at a time.
    async fn claim(&self, lease: &Lease, room: Room) -> Result<Claim, QueueError>;

    /// Ends claims and logs their outcomes, each pair in one step.
    async fn settle(&self, batch: &[Settlement]) -> Result<Vec<Settled>, QueueError>;

    /// Renews leases; `false` for those that were lost.
    async fn renew(&self, held: &[(String, Lease)]) -> Result<Vec<bool>, QueueError>;

    /// Takes back jobs whose lease has expired, counting a crash for each; returns how many.
    async fn rescue(&self) -> Result<usize, QueueError>;

    /// How many jobs are in each state.
    async fn counts(&self) -> Result<Counts, QueueError>;

    /// How many dead letters this process has dropped to make room for newer ones of the same user.
    fn letters_dropped(&self) -> u64;

    /// Checks that the queue's storage answers.
    async fn ping(&self) -> Result<(), QueueError>;

    /// Waits until there may be something new to claim.
    async fn woken(&self);
}

/// A queue that we push jobs to, and look them up in.
#[async_trait]
pub trait Inbox: Queue {
    /// Adds a job unless its user has too many, or its key already stands for one; takes the key in the same step: pushed
    /// again, after an error hid the answer, it is the same job. The key stands for it for [`KEY_TTL`].
    async fn push(&self, push: Push<'_>) -> Result<Pushed, QueueError>;

    /// What is known about a job.
    async fn look(&self, id: &str) -> Result<Option<Look>, QueueError>;
}
