//! The leases that this process holds of one queue.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::Lease;

/// Leased jobs by id.
#[derive(Default)]
pub(super) struct Held(Mutex<HashMap<String, Lease>>);

impl Held {
    pub(super) fn insert(&self, id: String, lease: Lease) {
        self.lock().insert(id, lease);
    }

    /// Forgets a lease; another claim of the same job is left alone.
    pub(super) fn remove(&self, id: &str, lease: &Lease) {
        let mut held = self.lock();
        if held.get(id) == Some(lease) {
            held.remove(id);
        }
    }

    pub(super) fn all(&self) -> Vec<(String, Lease)> {
        self.lock().iter().map(|(id, lease)| (id.clone(), Lease::clone(lease))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Lease>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
