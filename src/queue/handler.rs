//! What is done with a claimed job, as the worker sees it.

use std::time::Duration;

use super::{Job, Settled, Settlement, Verdict};
use crate::{budget::Share, outcome::Outcome};

/// Runs claimed jobs, each to its end.
#[async_trait::async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Waits until jobs can be done; returns how many may be claimed at once.
    async fn ready(&self) -> usize;

    /// Whether jobs can be done now.
    async fn available(&self) -> bool;

    /// Whether jobs of `queue` should be done in the order in which they were requested, as far as possible.
    fn in_order(&self, queue: &str) -> bool;

    /// Runs `job`, and decides what becomes of it. Called once for each claim; never fails, whatever the job is.
    async fn handle(&self, job: &Job) -> Handled;

    /// Called as soon as a settlement of `queue` has ended, in the order of the log.
    fn settled(&self, queue: &'static str, settlement: &Settlement, settled: &Settled);

    /// Called when a settlement of `queue` takes long: its outcome is not in the log yet.
    fn late(&self, queue: &'static str, settlement: &Settlement);

    /// Called at the very end of a job, with what became of it.
    fn ended(&self, settled: &Settled, job: &Job, report: Report);
}

/// What a [`Handler`] made of a job.
pub struct Handled {
    /// What becomes of it.
    pub verdict: Verdict,
    /// What its user is told.
    pub outcome: Option<Outcome>,
    /// What is reported about it afterwards.
    pub report: Report,
    /// The memory set aside for the outcome, until it is settled.
    pub(crate) share: Option<Share>,
}

/// What is reported about a job when it is settled.
#[derive(Debug)]
pub struct Report {
    /// The user, when known.
    pub user: Option<String>,
    /// What became of it, in a word: `done`, `refused`, `retry`, `released`, `postponed`, `buried`.
    pub outcome: &'static str,
    /// Why it was not done.
    pub reason: Option<String>,
    /// How long it took.
    pub took: Duration,
}
