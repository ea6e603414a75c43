//! The log of outcomes, one for each user: what the user was told, in order, kept for a time to be sent again.
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
    redis::{APPEND, Keys, Row, page, published, settled},
};
use super::QueueError;

/// The place of an outcome in its user's log: increases, and is never used twice in one epoch. In microseconds since
/// 1970, so that a log that lost its end in a failover does not use a place again.
pub type Seq = i64;

/// Where an outcome was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its place.
    pub seq: Seq,
    /// The place of the one before it; 0 for the first.
    pub before: Seq,
    /// Which log this is: a log that expired begins anew with another epoch.
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

/// Part of a log.
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

/// What to read from a log.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// Everything after this place.
    After(Seq),
    /// What nobody has heard from `queue`, after one place and up to another.
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
    /// Whether `next` says the same of the next place, for the same user and queue.
    fn precedes(&self, next: &Self) -> bool {
        self.seq + 1 == next.seq
            && self.heard == next.heard
            && self.queue == next.queue
            && self.user == next.user
    }
}

/// A log that has grown, and by which job.
#[derive(Debug, PartialEq, Eq)]
pub struct Grown {
    /// The user.
    pub user: String,
    /// The job.
    pub job: String,
}

/// A log in which something turned out not to have been heard; read from a list of the two fields.
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
    /// The room, as its clients name it.
    pub room: String,
    /// What the clients are sent.
    pub response: Box<RawValue>,
}

/// News from other processes.
#[derive(Debug)]
pub enum News {
    /// These logs have grown.
    Grown(Vec<Grown>),
    /// Something that was sent was not heard after all.
    Unheard(Vec<Unheard>),
    /// A message for a room that may have sockets here.
    Message(Message),
    /// News may have been missed: any log may have grown.
    Missed,
}

/// The logs of all users.
#[async_trait]
pub trait OutcomeLog: Send + Sync {
    /// Reads part of a user's log: at most [`PAGE`] outcomes, and about [`PAGE_BYTES`].
    async fn read(&self, user: &str, which: Which<'_>) -> Result<Page, QueueError>;

    /// Notes what was heard.
    async fn mark(&self, marks: &[Mark]) -> Result<(), QueueError>;

    /// Passes a message on to all other processes; those that are away miss it.
    async fn pass(&self, message: &Message) -> Result<(), QueueError>;
}

/// The most outcomes in one page.
pub const PAGE: usize = 100;

/// The bytes of outcomes at which a page is full.
pub const PAGE_BYTES: usize = 1 << 20;
