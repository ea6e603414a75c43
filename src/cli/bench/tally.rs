//! How many outcomes were heard.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use tokio::sync::Notify;

/// What the users have heard.
#[derive(Default)]
pub(super) struct Tally {
    told: AtomicU64,
    /// Those whose `Status` is true.
    done: AtomicU64,
    wanted: AtomicU64,
    reached: Notify,
    reached_at: Mutex<Option<Instant>>,
}

impl Tally {
    /// Counts an outcome, of a job that is `done` or not.
    pub(super) fn hear(&self, done: bool) {
        if done {
            self.done.fetch_add(1, Relaxed);
        }
        if self.told.fetch_add(1, Relaxed) + 1 == self.wanted() {
            *self.reached_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            self.reached.notify_one();
        }
    }

    pub(super) fn told(&self) -> u64 {
        self.told.load(Relaxed)
    }

    pub(super) fn done(&self) -> u64 {
        self.done.load(Relaxed)
    }

    /// The count at which all expected outcomes have been heard.
    pub(super) fn wanted(&self) -> u64 {
        self.wanted.load(Relaxed)
    }

    /// Expects `count` more outcomes from now on.
    pub(super) fn expect(&self, count: u64) {
        self.wanted.store(self.told() + count, Relaxed);
    }

    /// Waits until all expected outcomes were heard; returns when the last one was.
    pub(super) async fn reached(&self) -> Instant {
        self.reached.notified().await;
        self.reached_at.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or_else(Instant::now)
    }
}
