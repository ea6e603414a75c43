//! Bytes of memory that many share: who wants some takes a share of a budget first, and waits while there is none.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of bytes; clones share it. Who waits is served in the order of asking.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    free: Arc<Semaphore>,
    total: u32,
}

/// Bytes taken from a [`Budget`]; dropping this gives them back.
#[derive(Debug)]
pub(crate) struct Share {
    permit: OwnedSemaphorePermit,
}

impl Budget {
    /// A budget of `total` bytes, 4 GiB at the most.
    pub(crate) fn new(total: usize) -> Self {
        let total = u32::try_from(total).unwrap_or(u32::MAX).max(1);
        Self { free: Arc::new(Semaphore::new(total as usize)), total }
    }

    /// Waits for `bytes`; more than there are in total count as all of them, so that they are never waited for in vain.
    pub(crate) async fn take(&self, bytes: usize) -> Share {
        match Arc::clone(&self.free).acquire_many_owned(self.within(bytes)).await {
            Ok(permit) => Share { permit },
            Err(closed) => unreachable!("nobody closes it: {closed}"),
        }
    }

    /// Takes `bytes` if they are free, and nobody waits for them.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<Share> {
        let permit = Arc::clone(&self.free).try_acquire_many_owned(self.within(bytes)).ok()?;
        Some(Share { permit })
    }

    /// How many bytes are taken.
    pub(crate) fn used(&self) -> usize {
        (self.total as usize).saturating_sub(self.free.available_permits())
    }

    fn within(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.total)
    }
}

impl Share {
    /// Takes `bytes` out of it, or all there are, as a share of its own.
    pub(crate) fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.permit.num_permits());
        match self.permit.split(bytes) {
            Some(permit) => Self { permit },
            None => unreachable!("there are as many"),
        }
    }

    /// Gives back what is more than `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        if let Some(more) = self.permit.num_permits().checked_sub(bytes) {
            drop(self.permit.split(more));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_comes_first_is_served_first_and_what_is_given_back_is_there_again() {
        let budget = Budget::new(100);
        let mut first = budget.take(60).await;
        let mut large = Box::pin(budget.take(80));
        assert!((&mut large).now_or_never().is_none());
        assert!(budget.try_take(10).is_none(), "the large one came first");
        first.shrink_to(20);
        assert_eq!(large.await.permit.num_permits(), 80);
        drop(first);
        assert_eq!(budget.used(), 0);
        assert_eq!(budget.take(1000).now_or_never().unwrap().permit.num_permits(), 100, "all of it");
    }
}
