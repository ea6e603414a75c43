//! The log of outcomes, one for each user: what was told, in order, for a time, so that it can be told again.
//!
//! The scripts and transactions that end claims append to it, so a job leaves its queue exactly when its outcome is in
//! the log.

mod embedded;
mod redis;

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use self::{embedded::EmbeddedLog, redis::RedisLog};
pub(super) use self::{
    embedded::{Bounds, append, drop_old, outcome_of},
    redis::{APPEND, Keys, Row, settled},
};
use super::QueueError;

/// The place of an outcome in its user's log: increases, and never comes twice in one epoch. In microseconds since 1970,
/// so that a log that lost its end in a failover does not give a place again.
pub type Seq = i64;

/// Where an outcome was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its place.
    pub seq: Seq,
    /// The place of the one before it; 0 for the first.
    pub before: Seq,
    /// Which log this is: one that was forgotten after its time begins anew with another.
    pub epoch: Arc<str>,
}

/// An outcome in the log.
#[derive(Debug)]
pub struct Entry {
    /// Its place.
    pub seq: Seq,
    /// The queue of its job.
    pub queue: String,
    /// The id of its job.
    pub job: String,
    /// What the user is told.
    pub profile: Box<RawValue>,
}

/// A part of a log.
#[derive(Debug, Default)]
pub struct Page {
    /// Which log this is; empty when there is none.
    pub epoch: String,
    /// The last place in the whole log.
    pub last: Seq,
    /// The last place that was dropped.
    pub floor: Seq,
    /// The outcomes, oldest first.
    pub entries: Vec<Entry>,
    /// Whether there are more after them.
    pub more: bool,
}

/// What is read of a log.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// All after this place.
    After(Seq),
    /// What nobody has heard of `queue`, after one place and up to another.
    Unheard {
        /// The queue.
        queue: &'a str,
        /// Only what comes after this place.
        after: Seq,
        /// Only what comes up to this place.
        to: Option<Seq>,
    },
}

/// Whether somebody has heard an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The user.
    pub user: Arc<str>,
    /// The queue of the job.
    pub queue: Arc<str>,
    /// The place of the outcome.
    pub seq: Seq,
    /// Whether it was heard; `false` when it turned out that it was not.
    pub heard: bool,
}

impl Mark {
    /// Whether `next` says the same of the next place, in the same queue's outcomes.
    fn precedes(&self, next: &Self) -> bool {
        self.seq + 1 == next.seq
            && self.heard == next.heard
            && self.queue == next.queue
            && self.user == next.user
    }
}

/// Which log has grown, by which job.
#[derive(Debug, PartialEq, Eq)]
pub struct Grown {
    /// The user.
    pub user: String,
    /// The job.
    pub job: String,
}

/// In which log something turned out not to have been heard; read from a list of the two.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct Unheard {
    /// The user.
    pub user: String,
    /// The queue of the job.
    pub queue: String,
}

/// What a sibling service sends to the sockets of a room, which no log keeps.
#[derive(Debug, Serialize, Deserialize)]
pub struct Message {
    /// The room, as its clients ask for it.
    pub room: String,
    /// What the clients get.
    pub response: Box<RawValue>,
}

/// What is heard from other processes.
#[derive(Debug)]
pub enum News {
    /// These have grown.
    Grown(Vec<Grown>),
    /// What somebody was told was not heard.
    Unheard(Vec<Unheard>),
    /// This is for a room that may have sockets here.
    Message(Message),
    /// Nothing was heard for a while: any may have grown.
    Missed,
}

/// The logs of all users.
#[async_trait]
pub trait OutcomeLog: Send + Sync {
    /// Reads a part of a user's log: at most [`PAGE`] outcomes, and about [`PAGE_BYTES`].
    async fn read(&self, user: &str, which: Which<'_>) -> Result<Page, QueueError>;

    /// Notes what was heard.
    async fn mark(&self, marks: &[Mark]) -> Result<(), QueueError>;

    /// Passes a message on to all other processes; those that are away miss it.
    async fn pass(&self, message: &Message) -> Result<(), QueueError>;
}

/// Outcomes in one page at the most.
pub const PAGE: usize = 100;

/// Bytes in one page at the most, unless a single outcome has more.
pub const PAGE_BYTES: usize = 1 << 20;
