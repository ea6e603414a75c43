//! A queue in the layout of Bull v4, shared with Bull's own producers, workers and dashboards.
//!
//! The meaning of keys and fields, and which events are published when, follow the scripts of the npm package
//! `bull` 4.16 (`lib/commands`). Ours do the same for a batch at a time, and never walk a backlog.

mod claim;
mod count;
mod drive;
mod keys;
mod options;
mod renew;
mod rescue;
mod settle;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    Claim, Connection, Counts, Lease, Queue, QueueError, Room, Settled, Settlement, Wake,
    letters::Home,
    log::{Keys as Log, RedisLog},
    long::Long,
    new_lease,
};
use crate::config;
use keys::Keys;
pub(in crate::queue) use {claim::claimed, options::Reader as OptionsReader};

/// The layout's name in logs and metrics.
const LAYOUT: &str = "bull";

/// One Bull queue.
pub struct BullQueue {
    name: &'static str,
    keys: Keys,
    letters: Home,
    redis: Connection,
    claim_bytes: usize,
    long: Long,
    lease: Duration,
    log: Log,
    wake: Arc<Wake>,
}

impl BullQueue {
    /// The queue `name` under the prefix of `bull`, with the limits of `queue`; outcomes go to `log`.
    #[must_use]
    pub fn new(
        name: &'static str,
        redis: Connection,
        bull: &config::Bull,
        queue: &config::Queue,
        log: &RedisLog,
    ) -> Self {
        let keys = Keys::new(&bull.prefix, name, &new_lease());
        let letters = Home::new(LAYOUT, name, queue);
        let (claim_bytes, lease) = (queue.claim_bytes, queue.lease);
        let log = log.keys().clone();
        let wake = Wake::new([&keys.wait, &keys.delayed]);
        Self { name, keys, letters, redis, claim_bytes, long: Long::default(), lease, log, wake }
    }

    /// What wakes it.
    #[must_use]
    pub fn wake(&self) -> Arc<Wake> {
        Arc::clone(&self.wake)
    }

    /// Where its dead letters are.
    pub(super) fn letters(&self) -> &Home {
        &self.letters
    }

    /// A connection; all of them share one socket.
    fn redis(&self) -> Connection {
        self.redis.clone()
    }
}

#[async_trait]
impl Queue for BullQueue {
    fn name(&self) -> &'static str {
        self.name
    }

    fn layout(&self) -> &'static str {
        LAYOUT
    }

    async fn claim(&self, lease: &Lease, room: Room) -> Result<Claim, QueueError> {
        Ok(claim::claim(self, lease, room).await?)
    }

    async fn settle(&self, batch: &[Settlement]) -> Result<Vec<Settled>, QueueError> {
        Ok(settle::settle(self, batch).await?)
    }

    async fn renew(&self, held: &[(String, Lease)]) -> Result<Vec<bool>, QueueError> {
        Ok(renew::renew(self, held).await?)
    }

    async fn rescue(&self) -> Result<usize, QueueError> {
        Ok(rescue::rescue(self).await?)
    }

    async fn counts(&self) -> Result<Counts, QueueError> {
        Ok(count::count(self).await?)
    }

    fn letters_dropped(&self) -> u64 {
        self.letters.dropped()
    }

    async fn ping(&self) -> Result<(), QueueError> {
        Ok(redis::cmd("PING").query_async(&mut self.redis()).await?)
    }

    async fn woken(&self) {
        self.wake.woken().await;
    }
}
