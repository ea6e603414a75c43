//! What one user may have at a time; 0 is no limit.

use serde::Deserialize;

/// Limits for each user, on all nodes together unless said otherwise.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Jobs that came in over HTTP and wait or run.
    pub jobs_waiting: u32,
    /// Bytes of their data.
    pub bytes_waiting: u64,
    /// Jobs that come in over HTTP per second; ten times as many at once.
    pub jobs_per_second: u32,
    /// Jobs of any origin that each process runs per second, ten times as many at once; others are put off.
    pub run_per_second: u32,
    /// Requests to each process that wait for an outcome.
    pub waits: u32,
    /// New idempotency keys in a day.
    pub idempotency_keys: u32,
    /// Dead letters.
    pub letters: u32,
    /// Bytes of data in dead letters.
    pub letter_bytes: u64,
}

/// Larger numbers would lose digits where they are counted, in Lua.
const MOST_BYTES: u64 = 1 << 50;

impl Quota {
    /// What is wrong with the settings.
    pub(super) fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut within = |name: &str, value: u64, most: u64| {
            if value > most {
                mistakes.push(format!("OCTAVO__QUOTA__{name}: is {value}, must be from 0 to {most}"));
            }
        };
        within("JOBS_PER_SECOND", self.jobs_per_second.into(), 1_000_000);
        within("RUN_PER_SECOND", self.run_per_second.into(), 1_000_000);
        within("BYTES_WAITING", self.bytes_waiting, MOST_BYTES);
        within("LETTER_BYTES", self.letter_bytes, MOST_BYTES);
        mistakes
    }
}
