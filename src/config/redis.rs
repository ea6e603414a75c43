//! Where Redis is, as configured.

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
    /// Addresses of Sentinels that know the master; if there are none, it is at `host`.
    #[serde(deserialize_with = "super::host_port::list")]
    pub sentinels: Vec<HostPort>,
    /// What they call the master.
    pub master: String,
    /// Password to sign in to the Sentinels with, if set.
    pub sentinel_password: SecretString,
    /// User to sign in as; if not set, Redis's default user.
    pub username: String,
    /// Password to sign in with, if set.
    pub password: SecretString,
    /// Number of the database.
    pub database: u16,
    /// How long one command may take.
    #[serde(rename = "timeout_seconds", deserialize_with = "super::values::seconds")]
    pub timeout: Duration,
}

impl Redis {
    /// Whether Redis is to be used.
    pub(super) fn is_set(&self) -> bool {
        !self.host.is_empty() || !self.sentinels.is_empty()
    }

    /// What is wrong with it that types cannot express, when a job is leased for `lease`.
    pub(super) fn mistakes(&self, lease: Duration) -> impl Iterator<Item = String> {
        let asked = !self.sentinels.is_empty();
        let has_password = !self.sentinel_password.expose_secret().is_empty();
        let mistakes = [
            (self.host.contains("://") || self.host.matches(':').count() == 1)
                .then_some("REDIS_HOST: must be a host name or an address alone; the port goes in REDIS_PORT"),
            (asked && !self.host.is_empty()).then_some(
                "REDIS_HOST: is set, but so is OCTAVO__REDIS__SENTINELS, which finds the master; leave one of them out",
            ),
            (asked && self.master.trim().is_empty()).then_some(
                "OCTAVO__REDIS__MASTER: is empty; set it to the Sentinels' name for the master, or leave it out for mymaster",
            ),
            (!asked && has_password).then_some(
                "OCTAVO__REDIS__SENTINEL_PASSWORD: is set, but OCTAVO__REDIS__SENTINELS is not; set both, or leave it out",
            ),
            self.timeout.is_zero().then_some("OCTAVO__REDIS__TIMEOUT_SECONDS: must be at least 1"),
            (self.is_set() && self.timeout >= lease).then_some(
                "OCTAVO__REDIS__TIMEOUT_SECONDS: must be less than OCTAVO__QUEUE__LEASE_SECONDS, or one silent connection \
                 costs every lease",
            ),
        ];
        mistakes.into_iter().flatten().map(str::to_owned)
    }
}
