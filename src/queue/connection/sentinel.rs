//! Sentinels: they know which server is master.

use std::fmt;

use futures_util::{Stream, stream::FuturesUnordered};
use redis::{AsyncConnectionConfig, ErrorKind, RedisConnectionInfo, RedisError, RedisResult};
use secrecy::ExposeSecret;

use super::server::connect;
use crate::config::{self, HostPort};

/// The Sentinels of the settings, and what they call the master.
#[derive(Clone)]
pub(super) struct Sentinels {
    addresses: Vec<HostPort>,
    settings: RedisConnectionInfo,
    master: String,
}

impl Sentinels {
    /// Those that `config` names, if any.
    pub(super) fn new(config: &config::Redis) -> Option<Self> {
        let mut settings = RedisConnectionInfo::default();
        if !config.sentinel_password.expose_secret().is_empty() {
            settings = settings.set_password(config.sentinel_password.expose_secret());
        }
        let (addresses, master) = (config.sentinels.clone(), config.master.clone());
        (!addresses.is_empty()).then_some(Self { addresses, settings, master })
    }

    /// Asks all of them where the master is; answers come as they come.
    pub(super) fn ask(&self, config: &AsyncConnectionConfig) -> impl Stream<Item = RedisResult<HostPort>> {
        let ask = |sentinel| self.ask_one(sentinel, config.clone());
        self.addresses.iter().map(ask).collect::<FuturesUnordered<_>>()
    }

    async fn ask_one(&self, sentinel: &HostPort, config: AsyncConnectionConfig) -> RedisResult<HostPort> {
        let mut sentinel = connect(sentinel, &self.settings, &config).await?;
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.master);
        let address: Option<(String, u16)> = ask.query_async(&mut sentinel).await?;
        address.map(|(host, port)| HostPort { host, port }).ok_or_else(|| self.unknown())
    }

    /// The error when none of them has said anything.
    pub(super) fn unknown(&self) -> RedisError {
        let told = format!("no Sentinel knows a master \"{}\"", self.master);
        (ErrorKind::MasterNameNotFoundBySentinel, "no master", told).into()
    }
}

impl fmt::Display for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<_> = self.addresses.iter().map(HostPort::to_string).collect();
        write!(f, "{} of Sentinel {}", self.master, addresses.join(", "))
    }
}
