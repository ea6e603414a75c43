//! The connection to Redis that the queues there share.

use std::time::Duration;

use redis::{
    Client, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo, RedisError, RedisResult,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use secrecy::ExposeSecret;

use super::QueueError;
use crate::config;

/// Opens Redis: a client for connections of their own, and the connection that all commands share. It comes back by
/// itself after an error.
///
/// # Errors
/// When Redis cannot be reached.
pub async fn connect(config: &config::Redis) -> RedisResult<(Client, ConnectionManager)> {
    let address = redis::ConnectionAddr::Tcp(config.host.clone(), config.port);
    let mut settings =
        RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_db(config.database.into());
    if !config.username.is_empty() {
        settings = settings.set_username(&config.username);
    }
    if !config.password.expose_secret().is_empty() {
        settings = settings.set_password(config.password.expose_secret());
    }
    let client = Client::open(address.into_connection_info()?.set_redis_settings(settings))?;
    let manager = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(config.timeout))
        .set_response_timeout(Some(config.timeout))
        .set_min_delay(Duration::from_millis(20))
        .set_max_delay(Duration::from_secs(2));
    let redis = client.get_connection_manager_with_config(manager).await?;
    Ok((client, redis))
}

impl From<RedisError> for QueueError {
    fn from(error: RedisError) -> Self {
        Self(error.into())
    }
}
