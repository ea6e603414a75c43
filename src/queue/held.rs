//! The leases that this process holds in one queue.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Job, Lease};

/// Leased jobs by id.
#[derive(Default)]
pub(super) struct Held(Mutex<HashMap<String, Lease>>);

/// A lease that is held, and renewed, until this is dropped, even if the job panics.
pub(super) struct Holding {
    held: Arc<Held>,
    id: String,
    lease: Lease,
}

impl Held {
    pub(super) fn hold(self: Arc<Self>, job: &Job) -> Holding {
        let (id, lease) = (job.id.clone(), Lease::clone(&job.lease));
        self.lock().insert(id.clone(), Lease::clone(&lease));
        Holding { held: self, id, lease }
    }

    pub(super) fn all(&self) -> Vec<(String, Lease)> {
        self.lock().iter().map(|(id, lease)| (id.clone(), Lease::clone(lease))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Lease>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let mut held = self.held.lock();
        // The same job may have been claimed again meanwhile.
        if held.get(&self.id) == Some(&self.lease) {
            held.remove(&self.id);
        }
    }
}
