//! The settings: typed, read once, all mistakes reported at once.
//!
//! `config/default.toml` names and explains each of them.

mod auth;
mod host_port;
mod origins;
mod redis;
mod server;
mod settings;
mod sources;
#[cfg(test)]
mod tests;
mod values;

use std::{collections::BTreeMap, fmt, net::IpAddr, path::PathBuf};

use secrecy::SecretString;

pub use self::redis::Redis;
pub use auth::Auth;
pub use host_port::HostPort;
pub use origins::Origins;
pub use server::{Place, Server};
pub use settings::{Bull, Embedded, Log, LogFormat, MongoDb, Queue, Socket};

/// The environment as a value, so that tests need not touch the real one.
pub type Environment = BTreeMap<String, String>;

/// All settings of the service.
#[derive(Debug, Clone)]
pub struct Config {
    /// The HTTP server.
    pub server: Server,
    /// Socket.IO.
    pub socket: Socket,
    /// Tokens.
    pub auth: Auth,
    /// The queues.
    pub queue: Queue,
    /// Bull's queues among them.
    pub bull: Bull,
    /// Where jobs, outcomes and characters are kept.
    pub storage: Storage,
    /// The log.
    pub log: Log,
}

/// Where jobs, outcomes and characters are kept: in one local file, or on real servers.
#[derive(Debug, Clone)]
pub enum Storage {
    /// One local file; if no secret is given, one is generated beside it.
    Embedded {
        /// The data directory.
        dir: PathBuf,
        /// The key that tokens are signed with.
        secret: Option<SecretString>,
    },
    /// Redis and MongoDB.
    Servers {
        /// Jobs and outcomes.
        redis: Redis,
        /// Characters.
        mongodb: MongoDb,
        /// The key that tokens are signed with.
        secret: SecretString,
    },
}

impl Storage {
    /// Whether the service generates the key that tokens are signed with: then nobody else can sign one.
    #[must_use]
    pub fn makes_secret(&self) -> bool {
        matches!(self, Self::Embedded { secret: None, .. })
    }
}

impl Config {
    /// Reads all settings from the built-in defaults, `file`, and `env`.
    ///
    /// # Errors
    /// All mistakes at once, each with the name of its variable.
    pub fn load(file: Option<PathBuf>, env: &Environment) -> Result<Self, Mistakes> {
        let (settings, mut mistakes) = sources::read(file, env)?;
        let config = settings.check(&mut mistakes);
        match config {
            Some(config) if mistakes.is_empty() => Ok(config),
            _ => Err(Mistakes(mistakes)),
        }
    }

    /// What an operator should know about these settings, at every start.
    #[must_use]
    pub fn warnings(&self) -> Vec<&'static str> {
        const LEGACY: &str =
            "socket.legacy is on: open to everybody, and all may join any room and emit Profile into any";
        const WEAK: &str =
            "auth.allow_weak_secret is on: tokens may be signed by anybody who guesses or looks up the key";
        [(self.socket.legacy, LEGACY), (self.auth.allow_weak_secret, WEAK)]
            .into_iter()
            .filter_map(|(on, warning)| on.then_some(warning))
            .collect()
    }

    /// The address to listen on.
    #[must_use]
    pub fn host(&self) -> IpAddr {
        let default = match self.storage {
            Storage::Embedded { .. } => IpAddr::from([127, 0, 0, 1]),
            Storage::Servers { .. } => IpAddr::from([0, 0, 0, 0]),
        };
        self.server.host.unwrap_or(default)
    }
}

/// What is wrong with the configuration, one line per mistake.
#[derive(Debug, thiserror::Error)]
pub struct Mistakes(pub Vec<String>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {}:", count(self.0.len()))?;
        for mistake in &self.0 {
            write!(f, "\n  - {mistake}")?;
        }
        Ok(())
    }
}

fn count(n: usize) -> String {
    if n == 1 { "a mistake".to_owned() } else { format!("{n} mistakes") }
}
