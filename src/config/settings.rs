//! The settings as written, and the check that turns them into a [`Config`].

use std::{num::NonZero, path::PathBuf, time::Duration};

use mongodb::options::ConnectionString;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use super::{
    Auth, Config, Origins, Redis, Server, Storage,
    values::{days, list, names, optional, seconds},
};

/// Socket.IO.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Socket {
    /// A second port with Socket.IO only, if set.
    #[serde(deserialize_with = "optional")]
    pub port: Option<u16>,
    /// Who may connect.
    pub origins: Origins,
    /// Packets that may wait for one slow socket.
    pub buffer: usize,
    /// Bytes that may wait for one slow socket, unless a single outcome has more.
    pub buffer_bytes: usize,
    /// Bytes of outcomes under way to all sockets of one user.
    pub user_bytes: usize,
    /// Bytes of outcomes under way to all sockets.
    pub total_bytes: usize,
    /// The most sockets of one user on this node; 0 for no limit.
    pub max_per_user: usize,
    /// The most sessions that have not signed in.
    pub max_strangers: usize,
    /// The queues that rooms are named after.
    #[serde(deserialize_with = "list")]
    pub queues: Vec<String>,
    /// Whether sockets without a token may join any room and emit `Profile`.
    pub legacy: bool,
}

/// MongoDB.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MongoDb {
    /// Connection string, with the database in its path; may hold a password.
    pub uri: SecretString,
    /// How long finding a server, or one operation, may take.
    #[serde(rename = "timeout_seconds", deserialize_with = "seconds")]
    pub timeout: Duration,
}

/// The embedded store.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedded {
    /// The data directory.
    pub dir: PathBuf,
}

/// The queues.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// Prefix of every queue name in Redis.
    pub prefix: String,
    /// Jobs that may run at the same time, for each queue.
    pub concurrency: usize,
    /// The bytes of job data after which a claim takes no more jobs.
    pub claim_bytes: usize,
    /// How long a claimed job stays ours unless the lease is renewed.
    #[serde(rename = "lease_seconds", deserialize_with = "seconds")]
    pub lease: Duration,
    /// Attempts of a job whose producer set none.
    pub attempts: u32,
    /// Crashes after which a job is buried.
    pub max_crashes: u32,
    /// How long an outcome is kept, to be sent or asked for.
    #[serde(rename = "outcome_seconds", deserialize_with = "seconds")]
    pub outcome_ttl: Duration,
    /// The most bytes of outcomes that are kept for one user.
    pub outcome_bytes: usize,
    /// How long dead letters are kept.
    #[serde(rename = "dead_letter_days", deserialize_with = "days")]
    pub letter_ttl: Duration,
}

impl Queue {
    /// How many connections to MongoDB are of use: one for each read that goes alone, in two queues, ours and Bull's; but
    /// more than a few dozen do not make the server faster.
    #[must_use]
    pub fn connections(&self) -> u32 {
        u32::try_from(self.concurrency.saturating_mul(2)).unwrap_or(u32::MAX).min(128)
    }
}

/// Bull's queues.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bull {
    /// Which of them are served.
    #[serde(deserialize_with = "names")]
    pub queues: Vec<&'static str>,
    /// Prefix of their keys.
    pub prefix: String,
}

/// The log.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// How it is written.
    pub format: LogFormat,
    /// What is written, in the syntax of `tracing_subscriber::EnvFilter`.
    pub filter: String,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Pretty,
    /// One JSON object per line.
    Json,
}

/// All settings as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    server: Server,
    socket: Socket,
    auth: Auth,
    redis: Redis,
    mongodb: MongoDb,
    embedded: Embedded,
    queue: Queue,
    bull: Bull,
    log: Log,
}

impl Settings {
    /// Checks what types cannot express; `None` when it is unclear which storage is meant.
    pub(super) fn check(self, mistakes: &mut Vec<String>) -> Option<Config> {
        let mut within = |name: &str, value: usize, most: usize| {
            if value == 0 || value > most {
                mistakes.push(format!("{name}: is {value}, must be from 1 to {most}"));
            }
        };
        within("OCTAVO__QUEUE__CONCURRENCY", self.queue.concurrency, 10_000);
        within("OCTAVO__QUEUE__CLAIM_BYTES", self.queue.claim_bytes, 1 << 30);
        within("OCTAVO__QUEUE__ATTEMPTS", self.queue.attempts as usize, 1000);
        within("OCTAVO__QUEUE__MAX_CRASHES", self.queue.max_crashes as usize, 1000);
        within("OCTAVO__SERVER__MAX_BODY_BYTES", self.server.max_body_bytes, 1 << 30);
        within("OCTAVO__SERVER__BODY_BYTES", self.server.body_bytes, u32::MAX as usize);
        within("OCTAVO__SERVER__THREADS", self.server.threads.map_or(1, NonZero::get), 1024);
        within("OCTAVO__SOCKET__BUFFER", self.socket.buffer, 1 << 20);
        within("OCTAVO__SOCKET__BUFFER_BYTES", self.socket.buffer_bytes, 1 << 30);
        within("OCTAVO__SOCKET__USER_BYTES", self.socket.user_bytes, 1 << 30);
        within("OCTAVO__SOCKET__TOTAL_BYTES", self.socket.total_bytes, 1 << 32);
        within("OCTAVO__SOCKET__MAX_STRANGERS", self.socket.max_strangers, 1 << 20);
        if self.server.header_timeout.is_zero() {
            mistakes.push("OCTAVO__SERVER__HEADER_TIMEOUT_SECONDS: must be at least 1".to_owned());
        }
        if self.server.write_timeout.is_zero() {
            mistakes.push("OCTAVO__SERVER__WRITE_TIMEOUT_SECONDS: must be at least 1".to_owned());
        }
        if self.socket.buffer < 8 {
            mistakes
                .push("OCTAVO__SOCKET__BUFFER: must be at least 8, since a handshake takes some".to_owned());
        }
        if self.queue.outcome_bytes < 64 << 10 {
            mistakes.push("OCTAVO__QUEUE__OUTCOME_BYTES: must be at least 65536".to_owned());
        }
        for origin in self.socket.origins.unlike_any() {
            mistakes.push(format!(
                "OCTAVO__SOCKET__ORIGINS: \"{origin}\" is not an origin as a browser sends it, like https://example.org"
            ));
        }
        if self.queue.lease < Duration::from_secs(3) {
            mistakes.push(
                "OCTAVO__QUEUE__LEASE_SECONDS: must be at least 3: the lease is renewed after a third"
                    .to_owned(),
            );
        }
        if self.queue.outcome_ttl.is_zero() {
            mistakes.push("OCTAVO__QUEUE__OUTCOME_SECONDS: must be at least 1".to_owned());
        }
        if self.queue.letter_ttl < Duration::from_secs(1) {
            mistakes.push("OCTAVO__QUEUE__DEAD_LETTER_DAYS: must be more than 0 and at most 30".to_owned());
        }
        if self.socket.port == Some(self.server.port) && self.server.port != 0 {
            mistakes.push(
                "PORT_MESSAGES_USERS: is the same as PORT; leave it out: PORT serves Socket.IO too"
                    .to_owned(),
            );
        }
        if self.queue.prefix == format!("{}:", self.bull.prefix) {
            mistakes.push(format!(
                "OCTAVO__QUEUE__PREFIX: is what Bull's keys begin with (OCTAVO__BULL__PREFIX is {}); choose another",
                self.bull.prefix
            ));
        }
        if let Err(error) = EnvFilter::try_new(&self.log.filter) {
            mistakes.push(format!("OCTAVO__LOG__FILTER: {error}"));
        }
        mistakes.extend(self.redis.mistakes(self.queue.lease));
        if self.mongodb.timeout.is_zero() {
            mistakes.push("OCTAVO__MONGODB__TIMEOUT_SECONDS: must be at least 1".to_owned());
        }
        let storage = storage(self.auth.secret.clone(), self.redis, self.mongodb, self.embedded, mistakes);
        storage.map(|storage| Config {
            server: self.server,
            socket: self.socket,
            auth: self.auth,
            queue: self.queue,
            bull: self.bull,
            storage,
            log: self.log,
        })
    }
}

fn storage(
    secret: SecretString,
    redis: Redis,
    mongodb: MongoDb,
    embedded: Embedded,
    mistakes: &mut Vec<String>,
) -> Option<Storage> {
    const EITHER: &str = "set both to use real servers, or neither to use the embedded store";
    let secret = Some(secret).filter(|secret| !secret.expose_secret().is_empty());
    let has_redis = redis.is_set();
    let has_mongodb = !mongodb.uri.expose_secret().is_empty();
    if !has_redis && !has_mongodb {
        return Some(Storage::Embedded { dir: embedded.dir, secret });
    }
    if !has_redis {
        mistakes.push(format!("REDIS_HOST: is not set, but MONGODB_URI is; {EITHER}"));
    }
    if has_mongodb {
        mistakes.extend(uri_mistake(&mongodb.uri));
    } else {
        mistakes.push(format!("MONGODB_URI: is not set, but Redis is; {EITHER}"));
    }
    if secret.is_none() {
        mistakes
            .push("JWT_SECRET: is not set; it is the key that the platform signs its tokens with".to_owned());
    }
    Some(Storage::Servers { redis, mongodb, secret: secret? })
}

/// What is wrong with a connection string, without quoting it: it may hold a password.
fn uri_mistake(uri: &SecretString) -> Option<String> {
    match ConnectionString::parse(uri.expose_secret()) {
        Err(_) => Some(
            "MONGODB_URI: is not a connection string like mongodb://localhost:27017/storybang".to_owned(),
        ),
        Ok(parsed) if parsed.default_database.is_none() => Some(
            "MONGODB_URI: names no database; end it with one, as in mongodb://localhost:27017/storybang"
                .to_owned(),
        ),
        Ok(_) => None,
    }
}
