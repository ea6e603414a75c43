//! Whether the data of jobs are so long that they are better read past a script.

use std::sync::atomic::{AtomicBool, Ordering};

use super::Job;

/// Lua hashes each byte of a string that it is given, at about 1 GB/s. From this many bytes on, on average, that costs more
/// than to read them with a command of its own.
const LONG: usize = 4 << 10;

/// What is expected of the next claim, by the last one.
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
