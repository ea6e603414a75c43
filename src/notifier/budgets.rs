//! The bytes of outcomes that may be under way to all sockets together, and to those of one user.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::packet::Packet;
use crate::budget::{Budget, Share};

/// An outcome with fewer bytes is small: it is copied for each socket, and large ones do not hold it up.
pub(super) const SMALL: usize = 16 << 10;

/// One part in this many is for small outcomes alone, and another for `Profile`s.
const PARTS: usize = 4;

/// How often a small outcome is in memory while it is sent: in the queue of its socket, and in the buffer of its connection.
const COPIES: usize = 2;

/// The budgets of all users.
#[derive(Clone)]
pub(super) struct All {
    small: Budget,
    large: Budget,
    profiles: Budget,
    user_bytes: usize,
}

/// The budgets that one user's sockets draw on.
#[derive(Clone)]
pub(super) struct Budgets {
    all: All,
    user: Budget,
}

/// What large outcomes have taken: from their user's budget, and from that of all.
#[derive(Debug)]
pub(super) struct Shares {
    user: Share,
    all: Share,
}

impl All {
    /// `total` bytes for all users together, and `user_bytes` for each of them.
    pub(super) fn new(total: usize, user_bytes: usize) -> Self {
        let part = total / PARTS;
        let large = Budget::new(total - 2 * part);
        Self { small: Budget::new(part), large, profiles: Budget::new(part), user_bytes }
    }

    /// The budgets of one user more.
    pub(super) fn user(&self) -> Budgets {
        Budgets { all: self.clone(), user: Budget::new(self.user_bytes) }
    }

    /// The bytes for each user.
    pub(super) fn user_bytes(&self) -> usize {
        self.user_bytes
    }

    /// How many bytes are taken.
    pub(super) fn used(&self) -> usize {
        self.small.used() + self.large.used() + self.profiles.used()
    }

    /// Takes what a small packet needs for one socket, if it is free.
    pub(super) fn try_take_small(&self, bytes: usize) -> Option<Share> {
        self.small.try_take(bytes.saturating_mul(COPIES))
    }

    /// Waits until there is room for a small packet.
    pub(super) async fn room_for_small(&self, bytes: usize) {
        drop(self.small.take(bytes.saturating_mul(COPIES)).await);
    }

    /// Takes what a large `Profile` needs, if it is free.
    pub(super) fn try_take_profile(&self, bytes: usize) -> Option<Share> {
        self.profiles.try_take(bytes)
    }
}

impl Budgets {
    /// The budgets of all users.
    pub(super) fn all(&self) -> &All {
        &self.all
    }

    /// The packet of a response; `None` when it is large and there is no room for it now.
    pub(super) fn packet(&self, response: Box<RawValue>) -> Option<Arc<Packet>> {
        let share =
            if Packet::is_large(&response) { Some(self.try_take(response.get().len())?) } else { None };
        Some(Arc::new(Packet::new(response, share)))
    }

    /// Takes `bytes` for a large outcome, if they are free.
    fn try_take(&self, bytes: usize) -> Option<Shares> {
        let user = self.user.try_take(bytes)?;
        Some(Shares { user, all: self.all.large.try_take(bytes)? })
    }

    /// Waits for `bytes`: first for the user's own, so that nobody has more than one user's share of the places in the line
    /// that all stand in.
    pub(super) async fn take(&self, bytes: usize) -> Shares {
        let user = self.user.take(bytes).await;
        Shares { user, all: self.all.large.take(bytes).await }
    }
}

impl Shares {
    /// Gives back what is more than `bytes`.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        self.user.shrink_to(bytes);
        self.all.shrink_to(bytes);
    }

    /// Takes `bytes` out of them, as shares of their own.
    pub(super) fn split(&mut self, bytes: usize) -> Self {
        Self { user: self.user.split(bytes), all: self.all.split(bytes) }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_users_large_outcomes_hold_up_neither_others_nor_small_ones() {
        let all = All::new(8 << 20, 2 << 20);
        let ada = all.user();
        let bob = all.user();
        let mut taken = ada.take(2 << 20).await;
        assert!(ada.try_take(1 << 20).is_none());
        let mut more: Vec<_> = (0..5).map(|_| Box::pin(ada.take(1 << 20))).collect();
        assert!(more.iter_mut().all(|take| take.now_or_never().is_none()));
        assert!(bob.try_take(1 << 20).is_some());
        assert!(all.try_take_small(1000).is_some());
        let half = taken.split(1 << 20);
        drop(taken);
        assert!((&mut more[0]).now_or_never().is_some());
        drop(half);
    }
}
