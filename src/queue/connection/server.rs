//! Where Redis is: at a fixed address, or where Sentinels say that the master is.

use std::{fmt, pin::pin, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, RedisResult, Role, ServerErrorKind,
    aio::{AsyncPushSender, MultiplexedConnection},
    io::tcp::TcpSettings,
};
use secrecy::ExposeSecret;
use tokio::sync::watch;

use super::sentinel::{Master, Sentinels, newest_first};
use crate::config::{self, HostPort};

/// How long one attempt to connect may take: less than a command, since meanwhile another server may have become master.
const CONNECTING: Duration = Duration::from_secs(2);

/// How often Sentinels are asked whether another server has become master: the old one would take writes, and lose them.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// The configured Redis, and how to talk to it.
#[derive(Clone)]
pub struct Server {
    place: Place,
    settings: RedisConnectionInfo,
    timeout: Duration,
    /// Where it was last found.
    master: watch::Sender<Option<Master>>,
}

#[derive(Clone)]
enum Place {
    Fixed(HostPort),
    Asked(Sentinels),
}

/// A connection, and where it leads.
#[derive(Clone)]
pub struct Opened {
    /// The connection.
    pub redis: MultiplexedConnection,
    address: HostPort,
    current: watch::Receiver<Option<Master>>,
}

impl Server {
    /// The Redis that `config` names.
    #[must_use]
    pub fn new(config: &config::Redis) -> Self {
        let mut settings = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP3)
            .set_db(config.database.into());
        if !config.username.is_empty() {
            settings = settings.set_username(&config.username);
        }
        if !config.password.expose_secret().is_empty() {
            settings = settings.set_password(config.password.expose_secret());
        }
        let fixed = || Place::Fixed(HostPort { host: config.host.clone(), port: config.port });
        let place = Sentinels::new(config).map_or_else(fixed, Place::Asked);
        Self { place, settings, timeout: config.timeout, master: watch::Sender::new(None) }
    }

    /// Opens a separate connection; what Redis pushes goes to `pushes`, and so does the news of its end.
    ///
    /// # Errors
    /// When Redis does not answer or, with Sentinels, no master does.
    pub async fn open(&self, pushes: impl AsyncPushSender) -> RedisResult<Opened> {
        let (master, redis) = self.find(&self.patience().set_push_sender(pushes)).await?;
        self.found(&master);
        Ok(Opened { redis, address: master.address, current: self.master.subscribe() })
    }

    /// If there are Sentinels, asks them for ever whether another server has become master, and tells all connections.
    pub async fn follow(&self) {
        if let Place::Fixed(_) = self.place {
            return;
        }
        loop {
            tokio::time::sleep(ASK_EVERY).await;
            match self.find(&self.patience()).await {
                Ok((master, _)) => self.found(&master),
                // Whoever needs a master asks as well, and reports the error.
                Err(error) => tracing::debug!(%error, "no master"),
            }
        }
    }

    fn patience(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout.min(CONNECTING)))
            .set_response_timeout(Some(self.timeout))
    }

    fn found(&self, master: &Master) {
        let address = &master.address;
        let is_other = self.master.send_if_modified(|current| {
            let before = current.replace(master.clone());
            before.is_none_or(|before| before.address != *address)
        });
        if is_other {
            tracing::info!(%address, "connected to Redis");
        }
    }

    async fn find(&self, config: &AsyncConnectionConfig) -> RedisResult<(Master, MultiplexedConnection)> {
        let sentinels = match &self.place {
            Place::Fixed(address) => {
                let redis = connect(address, &self.settings, config).await?;
                return Ok((Master { address: address.clone(), epoch: 0 }, redis));
            }
            Place::Asked(sentinels) => sentinels,
        };
        let patience = self.patience().set_response_timeout(Some(self.timeout.min(CONNECTING)));
        let mut answers = pin!(sentinels.ask(&patience));
        let (mut tried, mut last) = (Vec::new(), sentinels.unknown());
        let mut newest = self.master.borrow().as_ref().map_or(0, |master| master.epoch);
        loop {
            let named = newest_first(&mut answers, newest, &mut last).await;
            let Some(first) = named.first() else { return Err(last) };
            // An older one may be the previous master, cut off with its Sentinels: it would take writes, and lose them.
            if tried.is_empty() || first.epoch > newest {
                newest = first.epoch;
            }
            for master in named {
                if master.epoch < newest || tried.contains(&master.address) {
                    continue;
                }
                tried.push(master.address.clone());
                match self.master_at(&master.address, config).await {
                    Ok(redis) => return Ok((master, redis)),
                    Err(error) => last = error,
                }
            }
        }
    }

    async fn master_at(
        &self,
        address: &HostPort,
        config: &AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        let mut redis = connect(address, &self.settings, config).await?;
        match redis::cmd("ROLE").query_async(&mut redis).await {
            Ok(Role::Primary { .. }) => Ok(redis),
            Ok(_) => {
                let told = format!("a Sentinel names {address}, which is not a master");
                Err((ErrorKind::Server(ServerErrorKind::ReadOnly), "no master", told).into())
            }
            // ROLE is one of the dangerous commands, which a user may not be allowed; a write will show.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) => Ok(redis),
            Err(error) => Err(error),
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn database(&self) -> i64 {
        self.settings.db()
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Fixed(address) => address.fmt(f),
            Place::Asked(sentinels) => sentinels.fmt(f),
        }
    }
}

impl Opened {
    /// Whether another server has become master.
    pub(super) fn has_moved(&self) -> bool {
        self.current.borrow().as_ref().map(|master| &master.address) != Some(&self.address)
    }

    /// Waits until another server has become master.
    pub async fn moved(&mut self) {
        let address = Some(&self.address);
        let has_moved = |current: &Option<Master>| current.as_ref().map(|master| &master.address) != address;
        if self.current.wait_for(has_moved).await.is_err() {
            // The server is gone, and nobody asks any more.
            std::future::pending::<()>().await;
        }
    }
}

/// Connects to one server.
pub(super) async fn connect(
    address: &HostPort,
    settings: &RedisConnectionInfo,
    config: &AsyncConnectionConfig,
) -> RedisResult<MultiplexedConnection> {
    // What is not delivered when a connection is given up must not be delivered later: it would arrive after what was
    // sent in its place.
    let tcp = TcpSettings::default().set_nodelay(true).set_linger_time(Duration::ZERO);
    let info = ConnectionAddr::Tcp(address.host.clone(), address.port)
        .into_connection_info()?
        .set_redis_settings(settings.clone())
        .set_tcp_settings(tcp);
    Client::open(info)?.get_multiplexed_async_connection_with_config(config).await
}
