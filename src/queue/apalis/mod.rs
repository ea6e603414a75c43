//! A queue in the layout of apalis-redis 1.0, consumed with our own scripts (see `docs/decisions/0001`).
//!
//! A stock `RedisStorage` pushes; each job is in `data` and `meta:<id>`, and its id in `scheduled` or `active`.

/// A script that buries, with what it needs prepended.
macro_rules! burying {
    ($script:expr) => {
        concat!(
            include_str!("../types.lua"),
            include_str!("../is_text.lua"),
            include_str!("../letters/trim.lua"),
            include_str!("../letters/write.lua"),
            include_str!("bury.lua"),
            include_str!("free.lua"),
            $script
        )
    };
}
use burying;

mod claim;
mod count;
mod drive;
mod keys;
mod look;
mod push;
mod renew;
mod rescue;
mod settle;

use std::{sync::Arc, time::Duration};

use apalis_redis::Config as Layout;
use async_trait::async_trait;

use super::{
    Claim, Connection, Counts, Inbox, Lease, Look, Push, Pushed, Queue, QueueError, Room, Settled,
    Settlement, Wake,
    ids::Ids,
    letters::Home,
    log::{Keys as Log, RedisLog},
    long::Long,
    new_lease,
};
use crate::config;
pub(in crate::queue) use claim::claimed;
use keys::Keys;

/// The layout's name in logs and metrics.
const LAYOUT: &str = "apalis";

/// One queue in Redis.
pub struct ApalisQueue {
    name: &'static str,
    keys: Keys,
    letters: Home,
    ids: Ids,
    redis: Connection,
    claim_bytes: usize,
    long: Long,
    lease: Duration,
    log: Log,
    quota: config::Quota,
    wake: Arc<Wake>,
}

impl ApalisQueue {
    /// The queue `name`, with the prefix and limits of `config`; outcomes go to `log`.
    #[must_use]
    pub fn new(name: &'static str, redis: Connection, config: &config::Queue, log: &RedisLog) -> Self {
        let layout = Layout::default().queue(format!("{}{name}", config.prefix));
        let keys = Keys::new(&layout, &config.prefix, &new_lease());
        Self {
            name,
            wake: Wake::new([&keys.active, &keys.scheduled]),
            keys,
            letters: Home::new(LAYOUT, name, config),
            ids: Ids::default(),
            redis,
            claim_bytes: config.claim_bytes,
            long: Long::default(),
            lease: config.lease,
            log: log.keys().clone(),
            quota: config.quota,
        }
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
impl Queue for ApalisQueue {
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

#[async_trait]
impl Inbox for ApalisQueue {
    async fn push(&self, push: Push<'_>) -> Result<Pushed, QueueError> {
        Ok(push::push(self, push).await?)
    }

    async fn look(&self, id: &str) -> Result<Option<Look>, QueueError> {
        Ok(look::look(self, id).await?)
    }
}
