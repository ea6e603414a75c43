//! The connection to Redis that its queues share.

mod sentinel;
mod server;

use std::{io, slice, sync::Arc, time::Duration};

use redis::{
    Cmd, Pipeline, PushInfo, PushKind, RedisError, RedisFuture, RedisResult, Value, aio::ConnectionLike,
};
use tokio::{sync::Mutex, time::Instant};
use tokio_util::sync::CancellationToken;

use super::QueueError;
use crate::{backoff, config};

pub use server::{Opened, Server};

/// Connects to Redis; returns the server, to open separate connections to, and the connection that all commands share.
///
/// # Errors
/// When Redis cannot be reached.
pub async fn connect(config: &config::Redis) -> RedisResult<(Server, Connection)> {
    let server = Server::new(config);
    let current = Current { live: Live::open(&server).await?, failures: 0, away: None };
    let shared = Shared { server: server.clone(), current: Mutex::new(current) };
    Ok((server, Connection(Arc::new(shared))))
}

/// A connection that is replaced when it is lost or silent, or leads to a server that takes no writes; cheap to clone.
/// The command that meets the loss fails, since nobody knows whether it was done; later ones wait for the new connection.
#[derive(Clone)]
pub struct Connection(Arc<Shared>);

struct Shared {
    server: Server,
    /// Locked while it is being replaced, by the first who needs it: the others wait in line.
    current: Mutex<Current>,
}

struct Current {
    live: Live,
    /// Failed attempts to replace it.
    failures: u32,
    /// Since when they have failed.
    away: Option<Instant>,
}

#[derive(Clone)]
struct Live {
    opened: Opened,
    since: Instant,
    /// Ends the commands that still wait for an answer on it: there will be none.
    lost: CancellationToken,
}

impl Connection {
    /// The connection, replaced if it was lost.
    async fn live(&self) -> RedisResult<Live> {
        let Shared { server, current } = &*self.0;
        let live = async {
            let mut current = current.lock().await;
            while current.live.is_lost() {
                if current.failures > 0 {
                    tokio::time::sleep(backoff::pause(current.failures.min(LONGEST_PAUSE))).await;
                }
                // Counted beforehand, since whoever waits for us may give up.
                current.failures += 1;
                match Live::open(server).await {
                    Ok(live) => {
                        if let Some(since) = current.away {
                            let away_ms = since.elapsed().as_millis();
                            tracing::info!(%server, away_ms, "connected to Redis again");
                        }
                        *current = Current { live, failures: 0, away: None };
                    }
                    Err(error) if current.away.is_none() => {
                        tracing::warn!(%error, %server, "cannot connect to Redis, trying again");
                        current.away = Some(Instant::now());
                    }
                    Err(error) => tracing::debug!(%error, %server, "still cannot connect to Redis"),
                }
            }
            current.live.clone()
        };
        let live = tokio::time::timeout(server.timeout(), live).await;
        live.map_err(|_| io::Error::new(io::ErrorKind::NotConnected, "no connection to Redis").into())
    }
}

/// How many failures lengthen the pause before the next attempt: it is up to 400 ms then.
const LONGEST_PAUSE: u32 = 3;

impl Live {
    async fn open(server: &Server) -> RedisResult<Self> {
        let lost = CancellationToken::new();
        let told = lost.clone();
        let pushes = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                told.cancel();
            }
            Ok::<_, std::convert::Infallible>(())
        };
        Ok(Self { opened: server.open(pushes).await?, since: Instant::now(), lost })
    }

    fn is_lost(&self) -> bool {
        self.lost.is_cancelled() || self.opened.has_moved()
    }

    /// Waits for the answer to a command, and checks whether it shows that the connection is lost.
    async fn answer<T>(
        &self,
        command: impl Future<Output = RedisResult<T>>,
        values: impl FnOnce(&T) -> &[Value],
    ) -> RedisResult<T> {
        let answer = self.lost.run_until_cancelled(command).await.unwrap_or_else(|| Err(closed()));
        let is_lost = match &answer {
            Ok(answer) => self.since.elapsed() > LEFT_AFTER && values(answer).iter().any(takes_no_writes),
            // On a silent connection, everything waits behind the first command that has no answer.
            Err(error) => error.is_unrecoverable_error() || error.is_timeout(),
        };
        if is_lost {
            self.lost.cancel();
        }
        answer
    }
}

/// A server that takes no writes is left only after this time: if there is no other, the next connection leads to it too.
const LEFT_AFTER: Duration = Duration::from_secs(1);

/// Whether a replica answered, or a master that nobody follows any more. In Redis 6, the error of a script has that code
/// only in its text.
fn takes_no_writes(value: &Value) -> bool {
    let Value::ServerError(error) = value else { return false };
    let said = |code| error.code() == code || error.details().is_some_and(|details| details.contains(code));
    ["READONLY", "MASTERDOWN", "NOREPLICAS"].into_iter().any(said)
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let live = self.live().await?;
            live.answer(live.opened.redis.clone().send_packed_command(cmd), slice::from_ref).await
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let live = self.live().await?;
            live.answer(
                live.opened.redis.clone().send_packed_commands(pipeline, offset, count),
                Vec::as_slice,
            )
            .await
        })
    }

    fn get_db(&self) -> i64 {
        self.0.server.database()
    }
}

/// The error of a command whose connection was lost.
pub(super) fn closed() -> RedisError {
    io::Error::from(io::ErrorKind::ConnectionReset).into()
}

impl From<RedisError> for QueueError {
    fn from(error: RedisError) -> Self {
        Self(error.into())
    }
}
