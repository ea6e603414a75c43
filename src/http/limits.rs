//! What all requests together may cost: bytes of memory, and waits.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use tokio::{sync::Semaphore, time::timeout};

use super::problem::Problem;
use crate::{
    budget::{Budget, Share},
    config::Config,
};

/// How long a request waits for memory.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// The limits of the HTTP side.
pub struct Limits {
    /// The largest request body, in bytes.
    pub(super) body: usize,
    /// For the bodies of requests.
    pub(super) bodies: Memory,
    /// For answers that hold outcomes.
    pub(super) answers: Memory,
    /// The bytes that an outcome is expected to have.
    pub(super) outcome: usize,
    /// For requests that wait for an outcome.
    pub(super) waits: Semaphore,
}

impl Limits {
    /// Those that `config` names.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let server = &config.server;
        let waits = if server.max_waits == 0 { Semaphore::MAX_PERMITS } else { server.max_waits };
        Self {
            body: server.max_body_bytes,
            bodies: Memory::new(server.body_bytes),
            answers: Memory::new(server.body_bytes),
            // Most have a few bytes. The largest are looked at twice, and several users can read some at the same time.
            outcome: config.queue.outcome_bytes / 4,
            waits: Semaphore::new(waits.min(Semaphore::MAX_PERMITS)),
        }
    }
}

/// Bytes of memory for all, of which one user gets a quarter at the most.
pub(super) struct Memory {
    all: Budget,
    /// Each for the users whose names have the same hash; nobody can know which.
    users: Vec<Budget>,
    hash: RandomState,
}

/// Bytes of memory that were taken; dropping this gives them back.
pub(super) struct Held {
    user: Share,
    all: Share,
}

impl Memory {
    fn new(bytes: usize) -> Self {
        // One for each value of a byte: few users at a time share one.
        let users = (0..=u8::MAX).map(|_| Budget::new(bytes / 4)).collect();
        Self { all: Budget::new(bytes), users, hash: RandomState::new() }
    }

    /// Takes `bytes` for a request of `user`.
    ///
    /// # Errors
    /// 503 when they are not free in time.
    pub(super) async fn take(&self, user: &str, bytes: usize) -> Result<Held, Problem> {
        let [number, ..] = self.hash.hash_one(user).to_ne_bytes();
        let mine = &self.users[usize::from(number)];
        let taking = async {
            // First the user's: who waits for that is in nobody's way.
            let user = mine.take(bytes).await;
            Held { user, all: self.all.take(bytes).await }
        };
        let busy =
            |_| Problem::unavailable("too many large requests are being served; try again in a moment");
        timeout(PATIENCE, taking).await.map_err(busy)
    }
}

impl Held {
    /// Gives back what is more than `bytes`.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        self.user.shrink_to(bytes);
        self.all.shrink_to(bytes);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_user_gets_a_quarter_and_all_together_get_everything() {
        let memory = Memory::new(400);
        let mut held = Vec::new();
        // Two users may share a quarter: enough others are asked.
        for user in (0..100).map(|n| format!("u{n}")) {
            held.extend(memory.take(&user, 100).now_or_never().and_then(Result::ok));
        }
        assert_eq!(held.len(), 4);
        assert_eq!(memory.all.used(), 400);
        held.pop();
        assert_eq!(memory.all.used(), 300);
    }

    #[tokio::test]
    async fn who_has_a_quarter_waits_for_himself_alone() {
        let memory = Memory::new(400);
        let first = memory.take("ada", 100).await.ok().unwrap();
        let mut second = Box::pin(memory.take("ada", 1));
        assert!((&mut second).now_or_never().is_none());
        assert_eq!(memory.all.used(), 100);
        drop(first);
        assert!(second.await.is_ok());
    }
}
