//! Whether the data of jobs is so long that it is better read outside a script.

use std::sync::atomic::{AtomicBool, Ordering};

use redis::RedisResult;

use super::{Claim, Job, field::Field};

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

    /// The claim with all its data: where it came without them, as was [expected](Self::expected), `read` reads them.
    pub(super) async fn fill(
        &self,
        without: bool,
        mut claim: Claim,
        read: impl AsyncFnOnce(&[Job]) -> RedisResult<Vec<Field>>,
    ) -> RedisResult<Claim> {
        let jobs = &mut claim.jobs;
        if without && !jobs.is_empty() {
            let data = read(jobs).await?;
            for (job, data) in jobs.iter_mut().zip(data) {
                job.data = data.unwrap_or_default();
            }
        }
        self.saw(jobs);
        Ok(claim)
    }

    fn saw(&self, jobs: &[Job]) {
        let bytes: usize = jobs.iter().map(|job| job.data.len()).sum();
        if !jobs.is_empty() {
            self.0.store(bytes / jobs.len() >= LONG, Ordering::Relaxed);
        }
    }
}
