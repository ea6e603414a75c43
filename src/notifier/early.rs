//! Outcomes that were sent before they were in the log, because that took long.

use std::time::{Duration, Instant};

use socketioxide::socket::Sid;

use super::response::Told;

/// An outcome that was sent early gets into the log within this time, or is sent again.
const EARLY: Duration = Duration::from_mins(1);

/// Those of one user.
#[derive(Default)]
pub(super) struct Early(Vec<One>);

struct One {
    at: Instant,
    queue: String,
    job: String,
    to: Vec<Sid>,
}

impl One {
    fn is_of(&self, told: &Told<'_>) -> bool {
        self.job == told.job && self.queue == told.queue
    }
}

impl Early {
    /// Notes that an outcome is sent early; returns the sockets that it was sent to, for more to be added.
    pub(super) fn send(&mut self, told: &Told<'_>) -> &mut Vec<Sid> {
        self.0.retain(|one| one.at.elapsed() < EARLY);
        let at = self.0.iter().position(|one| one.is_of(told)).unwrap_or_else(|| {
            let queue = told.queue.to_owned();
            self.0.push(One { at: Instant::now(), queue, job: told.job.to_owned(), to: Vec::new() });
            self.0.len() - 1
        });
        &mut self.0[at].to
    }

    /// Whether an outcome was sent to a socket.
    pub(super) fn was_sent(&self, told: &Told<'_>, sid: Sid) -> bool {
        self.0.iter().any(|one| one.is_of(told) && one.to.contains(&sid))
    }
}
