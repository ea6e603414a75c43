//! Redrives dead letters.

use super::renewal::with_fresh_token;
use crate::{
    auth::Auth,
    metrics::Metrics,
    queue::{
        QueueError,
        letters::{Driven, Filter, Letter, Letters, Order, Range, SCAN},
    },
};

/// What it takes to redrive letters: an admin vouches for their users, whose tokens have expired meanwhile.
#[derive(Clone, Copy)]
pub struct Redrive<'a> {
    /// The letters.
    pub letters: &'a dyn Letters,
    /// Signs fresh tokens.
    pub auth: &'a Auth,
    /// Counts what is redriven.
    pub metrics: &'a Metrics,
}

/// What became of all that matched.
#[derive(Debug, Default)]
pub struct Redriven {
    /// How many are in their queues again.
    pub driven: u64,
    /// How many are not, because their queue has a job with their id.
    pub in_queue: u64,
    /// How many still match; those that died since do not count.
    pub left: u64,
    /// Where to continue, unless nothing is left.
    pub next: Option<Range>,
}

impl Redrive<'_> {
    /// Redrives one letter; `Gone` when there is none.
    ///
    /// # Errors
    /// When the queue is not available.
    pub async fn one(self, layout: &str, queue: &str, id: &str) -> Result<Driven, QueueError> {
        let Some((letter, data)) = self.letters.show(layout, queue, id).await? else {
            return Ok(Driven::Gone);
        };
        self.drive(&letter, &data).await
    }

    /// Redrives up to `limit` letters that match, oldest first.
    ///
    /// # Errors
    /// When the queue is not available; some may have been redriven.
    pub async fn all(self, filter: &Filter, limit: usize) -> Result<Redriven, QueueError> {
        let page = self.letters.list(filter, Order::Oldest, limit).await?;
        let mut done = Redriven { next: page.next, ..Redriven::default() };
        for letter in page.letters {
            let shown = self.letters.show(letter.layout, letter.queue, &letter.id).await?;
            match shown.filter(|(shown, _)| shown.serial == letter.serial) {
                None => {}
                Some((letter, data)) => match self.drive(&letter, &data).await? {
                    Driven::Again => done.driven += 1,
                    Driven::InQueue => done.in_queue += 1,
                    Driven::Gone => {}
                },
            }
        }
        if let Some(range) = page.next {
            done.left = self.count(&Filter { range, ..filter.clone() }).await?;
        }
        Ok(done)
    }

    /// How many match; with a reason to look for, only among the next [`SCAN`].
    async fn count(self, filter: &Filter) -> Result<u64, QueueError> {
        if filter.reason.is_none() {
            return self.letters.count(filter).await;
        }
        Ok(self.letters.list(filter, Order::Oldest, SCAN).await?.letters.len() as u64)
    }

    async fn drive(self, letter: &Letter, data: &[u8]) -> Result<Driven, QueueError> {
        let driven = self.letters.drive(letter, with_fresh_token(data, self.auth)).await?;
        if driven == Driven::Again {
            self.metrics.driven(letter.queue);
        }
        Ok(driven)
    }
}
