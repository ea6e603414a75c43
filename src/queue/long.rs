//! Whether the data of jobs is so long that it is better read outside a script.

use std::sync::atomic::{AtomicBool, Ordering};

use super::Job;

/// Lua hashes every byte of a string that it is given, at about 1 GB/s. From this average number of bytes on, that costs
/// more than reading them with a separate command.
const LONG: usize = 4 << 10;

/// What to expect of the next claim, judging by the last one.
#[derive(Default)]
pub(super) struct Long(AtomicBool);

impl Long {
    pub(super) fn expected(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn saw(&self, jobs: &[Job]) {
        let bytes: usize = jobs.iter().map(|job| job.data.len()).sum();
        if !jobs.is_empty() {
            self.0.store(bytes / jobs.len() >= LONG, Ordering::Relaxed);
        }
    }
}
