//! Ids of new jobs: ULIDs, each greater than the one before, so that jobs of the same millisecond keep their order.

use std::sync::{Mutex, PoisonError};

use ulid::{Generator, Overflow};

/// Makes ids.
#[derive(Default)]
pub(super) struct Ids(Mutex<Generator>);

impl Ids {
    pub(super) fn next(&self) -> String {
        let mut generator = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        generator.generate().unwrap_or_else(Overflow::commit_overflow_increment).to_string()
    }
}
