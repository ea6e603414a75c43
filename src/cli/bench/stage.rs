//! Connections to the servers of one run, which must be found empty and are left empty.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use mongodb::{
    Client, Database,
    bson::{Document, doc},
};
use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, aio::MultiplexedConnection,
};
use tokio::task::spawn_blocking;

use super::{CliError, options::Options, servers::Servers};
use crate::character::{QUEUES, store::COLLECTION};

/// The time limit for each of the bench's commands.
const LIMIT: Duration = Duration::from_mins(2);

/// The prefix of all our services' keys, so that they take nobody else's jobs, nor the peer's.
pub(super) const PREFIX: &str = "octavo_bench";

/// The databases where our services, and the peer, keep characters.
pub(super) const DATABASE: &str = "octavo_bench";
pub(super) const PEER_DATABASE: &str = "octavo_bench_peer";

/// The servers of one run.
pub(super) struct Stage {
    /// Where programs run and log.
    pub dir: PathBuf,
    /// Where Redis is.
    pub redis_info: ConnectionInfo,
    /// A connection to it; clones share a socket.
    pub redis: MultiplexedConnection,
    /// A MongoDB client.
    mongodb: Client,
    uri: String,
}

impl Stage {
    /// Connects, if nobody else uses the servers.
    ///
    /// # Errors
    /// When they cannot be reached, are in use, or hold anything.
    pub(super) async fn set(options: &Options, servers: &Servers, dir: &Path) -> Result<Self, CliError> {
        let redis_info = servers.redis.as_str().into_connection_info()?;
        let redis = connect(&redis_info).await?;
        let mongodb = Client::with_uri_str(with_database(&servers.mongodb, DATABASE)).await?;
        let uri = servers.mongodb.clone();
        let stage = Self { dir: dir.to_owned(), redis_info, redis, mongodb, uri };
        if servers.are_given() {
            stage.refuse_foreign(options.peer.is_some()).await?;
        }
        Ok(stage)
    }

    /// Host and port of Redis.
    pub(super) fn redis_address(&self) -> Result<(String, u16), CliError> {
        match self.redis_info.addr() {
            ConnectionAddr::Tcp(host, port) => Ok((host.clone(), *port)),
            _ => Err("--redis: give redis://HOST:PORT, without TLS".into()),
        }
    }

    /// The connection string for a database.
    pub(super) fn uri(&self, database: &str) -> String {
        with_database(&self.uri, database)
    }

    pub(super) fn database(&self, name: &str) -> Database {
        self.mongodb.database(name)
    }

    /// Refuses servers that are in use: the bench writes, deletes, and starts workers, so there must be no data and
    /// nobody else at work. A peer that is already running is connected, and has its collection.
    async fn refuse_foreign(&self, peer_runs: bool) -> Result<(), CliError> {
        let mut redis = self.redis.clone();
        let mut scan = redis::cmd("SCAN");
        let (next, keys): (u64, Vec<String>) =
            scan.arg(0).arg("COUNT").arg(1_000).query_async(&mut redis).await?;
        // An idle Bull worker has such keys.
        let key = keys.iter().find(|key| !key.ends_with(":stalled-check"));
        if next != 0 || key.is_some() {
            let key = key.map_or(String::new(), |key| format!(", it holds {key}"));
            return Err(format!(
                "the Redis at --redis is not empty{key}: the bench adds and deletes keys, so give another, \
                 or omit --redis and --mongodb to have servers started; a bench that was killed leaves \
                 {PREFIX}* and bull:* behind"
            )
            .into());
        }
        let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut redis).await?;
        if clients.lines().count() > 1 && !peer_runs {
            let why = "a worker connected there would take the jobs; give one that nobody uses";
            return Err(format!("somebody else is connected to the Redis at --redis: {why}").into());
        }
        for name in [DATABASE, PEER_DATABASE] {
            let database = self.database(name);
            let left = if name == PEER_DATABASE && peer_runs {
                within(database.collection::<Document>(COLLECTION).count_documents(doc! {})).await? > 0
            } else {
                !within(database.list_collection_names()).await?.is_empty()
            };
            if left {
                let advice = "drop it if an earlier bench left it behind, or give another server";
                return Err(format!("the MongoDB at --mongodb has a database {name}: {advice}").into());
            }
        }
        Ok(())
    }

    /// Removes every key that the measured services use. The cost grows with the number of keys.
    pub(super) async fn clear_redis(&self) -> Result<(), CliError> {
        const AT_A_TIME: usize = 5_000;
        let mut redis = self.redis.clone();
        let mut patterns = vec![format!("{PREFIX}*")];
        patterns.extend(QUEUES.iter().map(|queue| format!("bull:{queue}:*")));
        for pattern in patterns {
            let mut cursor = 0_u64;
            loop {
                let mut scan = redis::cmd("SCAN");
                scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(AT_A_TIME);
                let (next, keys): (u64, Vec<String>) = scan.query_async(&mut redis).await?;
                if !keys.is_empty() {
                    redis::cmd("UNLINK").arg(keys).query_async::<()>(&mut redis).await?;
                }
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Removes everything that the bench created: of a peer that was already running, its documents but not its indexes.
    pub(super) async fn clear(&self, peer_runs: bool) -> Result<(), CliError> {
        self.clear_redis().await?;
        within(self.database(DATABASE).drop()).await?;
        let peer = self.database(PEER_DATABASE);
        if peer_runs {
            within(peer.collection::<Document>(COLLECTION).delete_many(doc! {})).await?;
        } else {
            within(peer.drop()).await?;
        }
        Ok(())
    }
}

/// Waits for MongoDB, up to a limit.
///
/// # Errors
/// When it fails, or takes longer than [`LIMIT`].
pub(super) async fn within<T, E: Into<CliError>>(
    asking: impl IntoFuture<Output = Result<T, E>>,
) -> Result<T, CliError> {
    let answer = tokio::time::timeout(LIMIT, asking.into_future()).await;
    answer.map_err(|_| format!("MongoDB does not answer within {} s", LIMIT.as_secs()))?.map_err(Into::into)
}

/// Flushes earlier writes to disk, so that nothing measured has to wait for them.
pub(super) async fn flush_disk() -> Result<(), CliError> {
    Ok(spawn_blocking(rustix::fs::sync).await?)
}

async fn connect(info: &ConnectionInfo) -> Result<MultiplexedConnection, CliError> {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(LIMIT));
    let client = redis::Client::open(info.clone())?;
    let connected = client.get_multiplexed_async_connection_with_config(&config).await;
    connected.map_err(|error| format!("cannot reach Redis at {}: {error}", info.addr()).into())
}

/// A connection string with another database in its path; its user is still looked up in the same database as before.
/// Does not use `Url`, which cannot read several hosts.
fn with_database(uri: &str, database: &str) -> String {
    let (scheme, rest) = uri.split_once("://").unwrap_or(("mongodb", uri));
    let (server, options) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts, path) = server.split_once('/').unwrap_or((server, ""));
    let mut options: Vec<_> = options.split('&').filter(|option| !option.is_empty()).collect();
    let source = format!("authSource={}", if path.is_empty() { "admin" } else { path });
    if hosts.contains('@')
        && !options.iter().any(|option| option.to_ascii_lowercase().starts_with("authsource="))
    {
        options.push(&source);
    }
    let question = if options.is_empty() { "" } else { "?" };
    format!("{scheme}://{hosts}/{database}{question}{}", options.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_put_into_a_connection_string_and_users_stay_where_they_are() {
        let with = |uri| with_database(uri, "d");
        assert_eq!(with("mongodb://a:1,b:2"), "mongodb://a:1,b:2/d");
        assert_eq!(with("mongodb://a/x?w=1"), "mongodb://a/d?w=1");
        assert_eq!(with("mongodb://u:p@a/x?w=1"), "mongodb://u:p@a/d?w=1&authSource=x");
        assert_eq!(with("mongodb://u:p@a"), "mongodb://u:p@a/d?authSource=admin");
        assert_eq!(with("mongodb://u:p@a/?authSource=y"), "mongodb://u:p@a/d?authSource=y");
    }
}
