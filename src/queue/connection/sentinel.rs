//! Sentinels, which know which server is the master.

use std::{cmp::Reverse, collections::HashMap, fmt, time::Duration};

use futures_util::{Stream, StreamExt, stream::FuturesUnordered};
use redis::{
    AsyncConnectionConfig, ErrorKind, RedisConnectionInfo, RedisError, RedisResult, ServerErrorKind,
};
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout_at};

use super::server::connect;
use crate::config::{self, HostPort};

/// The configured Sentinels, and what they call the master.
#[derive(Clone)]
pub(super) struct Sentinels {
    addresses: Vec<HostPort>,
    settings: RedisConnectionInfo,
    master: String,
}

/// A server that a Sentinel names as the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Master {
    pub(super) address: HostPort,
    /// The epoch of its configuration: each failover raises it, so of two sides of a partition, the higher one is right.
    pub(super) epoch: u64,
}

/// How long the other Sentinels have to answer, once one has.
const MOMENT: Duration = Duration::from_millis(200);

/// The masters that Sentinels name next, newest configuration first: all that are named within a [`MOMENT`], or however
/// long it takes while none is as new as `known`. Empty when all Sentinels have answered.
pub(super) async fn newest_first(
    answers: &mut (impl Stream<Item = RedisResult<Master>> + Unpin),
    known: u64,
    last: &mut RedisError,
) -> Vec<Master> {
    let mut named = Vec::<Master>::new();
    let mut until = Instant::now();
    loop {
        let answer = if named.iter().any(|master| master.epoch >= known) {
            // A timeout means that nobody else has answered in time.
            timeout_at(until, answers.next()).await.unwrap_or(None)
        } else {
            answers.next().await
        };
        match answer {
            Some(Ok(master)) => {
                if named.is_empty() {
                    until = Instant::now() + MOMENT;
                }
                named.push(master);
            }
            Some(Err(error)) => *last = error,
            None => break,
        }
    }
    named.sort_by_key(|master| Reverse(master.epoch));
    named
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

    /// Asks all of them where the master is; yields answers as they arrive.
    pub(super) fn ask(&self, config: &AsyncConnectionConfig) -> impl Stream<Item = RedisResult<Master>> {
        let ask = |sentinel| self.ask_one(sentinel, config.clone());
        self.addresses.iter().map(ask).collect::<FuturesUnordered<_>>()
    }

    async fn ask_one(&self, sentinel: &HostPort, config: AsyncConnectionConfig) -> RedisResult<Master> {
        let mut sentinel = connect(sentinel, &self.settings, &config).await?;
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.master);
        let address: Option<(String, u16)> = ask.query_async(&mut sentinel).await?;
        let (host, port) = address.ok_or_else(|| self.unknown())?;
        let ask = redis::cmd("SENTINEL").arg("MASTER").arg(&self.master).to_owned();
        let known: HashMap<String, String> = match ask.query_async(&mut sentinel).await {
            // A dedicated user may only be allowed to ask for the address.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) => HashMap::new(),
            other => other?,
        };
        let epoch = known.get("config-epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or_default();
        Ok(Master { address: HostPort { host, port }, epoch })
    }

    /// The error when none of them names a master.
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
