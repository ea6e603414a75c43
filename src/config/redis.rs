//! Where Redis is, as it is written.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
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
    #[serde(rename = "timeout_seconds", deserialize_with = "super::values::seconds")]
    pub timeout: Duration,
}

impl Redis {
    /// Whether it is to be used.
    pub(super) fn is_set(&self) -> bool {
        !self.host.is_empty() || !self.sentinels.is_empty()
    }

    /// What is wrong with it, that types cannot say, where a job is leased for `lease`.
    pub(super) fn mistakes(&self, lease: Duration) -> impl Iterator<Item = String> {
        let asked = !self.sentinels.is_empty();
        let has_password = !self.sentinel_password.expose_secret().is_empty();
        let mistakes = [
            (self.host.contains("://") || self.host.matches(':').count() == 1)
                .then_some("REDIS_HOST: is a host name or an address alone; the port is REDIS_PORT"),
            (asked && !self.host.is_empty()).then_some(
                "REDIS_HOST: is set, but OCTAVO__REDIS__SENTINELS are, which name the master; leave one of them out",
            ),
            (asked && self.master.trim().is_empty()).then_some(
                "OCTAVO__REDIS__MASTER: is empty; give what the Sentinels call the master, or leave it out for mymaster",
            ),
            (!asked && has_password).then_some(
                "OCTAVO__REDIS__SENTINEL_PASSWORD: is set, but OCTAVO__REDIS__SENTINELS are not; give them, or leave it out",
            ),
            self.timeout.is_zero().then_some("OCTAVO__REDIS__TIMEOUT_SECONDS: must be at least 1"),
            (self.is_set() && self.timeout >= lease).then_some(
                "OCTAVO__REDIS__TIMEOUT_SECONDS: must be less than OCTAVO__QUEUE__LEASE_SECONDS, or one connection that \
                 is silent costs every lease",
            ),
        ];
        mistakes.into_iter().flatten().map(str::to_owned)
    }
}
