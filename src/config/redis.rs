//! Where Redis is, as it is written.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::HostPort;

/// Redis.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Where Sentinels are that know the master; none: it is at `host`.
    #[serde(deserialize_with = "super::host_port::list")]
    pub sentinels: Vec<HostPort>,
    /// What they call it.
    pub master: String,
    /// Password to sign in to them with, when set.
    pub sentinel_password: SecretString,
    /// User to sign in as; not set: Redis' default user.
    pub username: String,
    /// Password to sign in with, when set.
    pub password: SecretString,
    /// Number of the database.
    pub database: u16,
    /// How long one command may take.
    #[serde(rename = "timeout_seconds", deserialize_with = "super::settings::seconds")]
    pub timeout: Duration,
}

impl Redis {
    /// Whether it is to be used.
    pub(super) fn is_set(&self) -> bool {
        !self.host.is_empty() || !self.sentinels.is_empty()
    }

    /// What is wrong with it, that types cannot say.
    pub(super) fn mistake(&self) -> Option<String> {
        let both = !self.host.is_empty() && !self.sentinels.is_empty();
        both.then(|| {
            "REDIS_HOST: is set, but OCTAVO__REDIS__SENTINELS are, which name the master; leave one of them out".to_owned()
        })
    }
}
