//! The bytes that may wait for all sockets together, and for those of one user.

use crate::budget::{Budget, Share};

/// An outcome with fewer bytes is small: large ones do not hold it up.
const SMALL: usize = 16 << 10;

/// One part in this many is for small outcomes alone.
const FOR_SMALL: usize = 4;

/// How often an outcome is in memory while it is sent: in the queue of its socket, and in the buffer of its connection.
const COPIES: usize = 2;

/// The budgets that one user's sockets draw on.
#[derive(Clone)]
pub(super) struct Budgets {
    all: All,
    user: Budget,
}

/// The budgets of all users.
#[derive(Clone)]
pub(super) struct All {
    small: Budget,
    large: Budget,
    user_bytes: usize,
}

/// What an outcome takes from the budgets while it waits for one socket.
pub(super) type Shares = Share;

impl All {
    /// `total` bytes for all users together, and `user_bytes` for each of them.
    pub(super) fn new(total: usize, user_bytes: usize) -> Self {
        let for_small = total / FOR_SMALL;
        Self { small: Budget::new(for_small), large: Budget::new(total - for_small), user_bytes }
    }

    /// Takes what a packet of so many bytes needs that is nobody's outcome, if it is free.
    pub(super) fn try_take(&self, bytes: usize) -> Option<Shares> {
        let budget = if bytes < SMALL { &self.small } else { &self.large };
        budget.try_take(bytes.saturating_mul(COPIES))
    }

    /// The budgets of one user more.
    pub(super) fn user(&self) -> Budgets {
        Budgets { all: self.clone(), user: Budget::new(self.user_bytes) }
    }
}

impl Budgets {
    /// Takes what an outcome of so many bytes needs, if it is free.
    pub(super) fn try_take(&self, bytes: usize) -> Option<Shares> {
        if bytes < SMALL {
            return self.all.try_take(bytes);
        }
        let own = self.user.try_take(bytes.saturating_mul(COPIES))?;
        Some(own.with(self.all.try_take(bytes)?))
    }

    /// Waits for what an outcome of so many bytes needs: first for the user's own, so that nobody has more than one user's
    /// share of the places in the line that all stand in.
    pub(super) async fn take(&self, bytes: usize) -> Shares {
        let needed = bytes.saturating_mul(COPIES);
        if bytes < SMALL {
            return self.all.small.take(needed).await;
        }
        let own = self.user.take(needed).await;
        own.with(self.all.large.take(needed).await)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_users_large_outcomes_hold_up_neither_others_nor_small_ones() {
        let all = All::new(8 << 20, 2 << 20);
        let (ada, bob) = (all.user(), all.user());
        let waits = ada.take(1 << 20).await;
        assert!(ada.try_take(1 << 20).is_none());
        let mut more: Vec<_> = (0..5).map(|_| Box::pin(ada.take(1 << 20))).collect();
        assert!(more.iter_mut().all(|take| take.now_or_never().is_none()));
        assert!(bob.try_take(1 << 20).is_some());
        assert!(ada.try_take(1000).is_some());
        drop(waits);
        assert!((&mut more[0]).now_or_never().is_some());
    }
}
