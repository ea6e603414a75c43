//! A queue in the layout of apalis-redis 1.0, consumed with our own scripts (see `docs/decisions/0001`).
//!
//! A stock `RedisStorage` pushes; each job is in `data` and `meta:<id>`, and its id in `scheduled` or `active`.

mod claim;
mod count;
mod keys;
mod look;
mod push;
mod renew;
mod rescue;
mod settle;
mod wake;

use std::{sync::Arc, time::Duration};

use apalis_redis::Config as Layout;
use async_trait::async_trait;
use redis::{
    Client, ProtocolVersion, RedisError, RedisResult,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::sync::Notify;

use super::{Claim, Counts, Lease, Look, Queue, QueueError, Settlement, ids::Ids};
use crate::config;
use keys::Keys;
pub use wake::Listener;

/// One queue in Redis.
pub struct ApalisQueue {
    name: &'static str,
    keys: Keys,
    /// What the stock storage needs to know to push.
    layout: Layout,
    ids: Ids,
    redis: ConnectionManager,
    claim_bytes: usize,
    lease: Duration,
    outcome_ttl: Duration,
    wake: Arc<Notify>,
}

impl ApalisQueue {
    /// The queue `name`, with the prefix and limits of `config`.
    #[must_use]
    pub fn new(name: &'static str, redis: ConnectionManager, config: &config::Queue) -> Self {
        let layout = Layout::default().queue(format!("{}{name}", config.prefix));
        Self {
            name,
            keys: Keys::new(&layout),
            layout,
            ids: Ids::default(),
            redis,
            claim_bytes: config.claim_bytes,
            lease: config.lease,
            outcome_ttl: config.outcome_ttl,
            wake: Arc::new(Notify::new()),
        }
    }

    /// A connection; all of them share one socket.
    fn redis(&self) -> ConnectionManager {
        self.redis.clone()
    }
}

/// Opens Redis: a client for connections of their own, and the connection that all commands share. It comes back by
/// itself after an error.
///
/// # Errors
/// When Redis cannot be reached.
pub async fn connect(config: &config::Redis) -> RedisResult<(Client, ConnectionManager)> {
    let address = redis::ConnectionAddr::Tcp(config.host.clone(), config.port);
    let mut info = redis::IntoConnectionInfo::into_connection_info(address)?;
    info =
        info.set_redis_settings(redis::RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3));
    let client = Client::open(info)?;
    let settings = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(config.timeout))
        .set_response_timeout(Some(config.timeout))
        .set_min_delay(Duration::from_millis(20))
        .set_max_delay(Duration::from_secs(2));
    let redis = client.get_connection_manager_with_config(settings).await?;
    Ok((client, redis))
}

impl From<RedisError> for QueueError {
    fn from(error: RedisError) -> Self {
        Self(error.into())
    }
}

#[async_trait]
impl Queue for ApalisQueue {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn push(&self, data: Vec<u8>) -> Result<String, QueueError> {
        push::push(self, data).await
    }

    async fn claim(&self, lease: &Lease, max: usize) -> Result<Claim, QueueError> {
        Ok(claim::claim(self, lease, max).await?)
    }

    async fn settle(&self, batch: &[Settlement]) -> Result<Vec<bool>, QueueError> {
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

    async fn look(&self, id: &str) -> Result<Option<Look>, QueueError> {
        Ok(look::look(self, id).await?)
    }

    async fn woken(&self) {
        self.wake.notified().await;
    }
}
