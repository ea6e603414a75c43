//! Requests that wait for a job to end, on whichever process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Notify, futures::Notified};

/// Who is waiting for which job, by the job's id.
#[derive(Default)]
pub(super) struct Waiting(Mutex<HashMap<String, Arc<Notify>>>);

/// A wait for a job to end; dropping it gives up.
pub struct Wait {
    waiting: Arc<Waiting>,
    job: String,
    ended: Arc<Notify>,
}

impl Waiting {
    pub(super) fn wait(self: Arc<Self>, job: &str) -> Wait {
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = Arc::clone(jobs.entry(job.to_owned()).or_default());
        drop(jobs);
        Wait { waiting: self, job: job.to_owned(), ended }
    }

    /// A job has ended.
    pub(super) fn ended(&self, job: &str) {
        if let Some(ended) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(job) {
            ended.notify_waiters();
        }
    }

    /// Any job may have ended.
    pub(super) fn any(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .for_each(|ended| ended.notify_waiters());
    }
}

impl Wait {
    /// Waits until the job may have ended, counting from this call.
    pub fn ended(&self) -> Notified<'_> {
        self.ended.notified()
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut jobs = self.waiting.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One is ours, and one is in the map.
        if Arc::strong_count(&self.ended) == 2 {
            jobs.remove(&self.job);
        }
    }
}
