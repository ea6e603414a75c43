//! The connection to Redis that the queues there share.

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

/// Opens Redis: where it is, for connections of their own, and the connection that all commands share.
///
/// # Errors
/// When Redis cannot be reached.
pub async fn connect(config: &config::Redis) -> RedisResult<(Server, Connection)> {
    let server = Server::new(config);
    let current = Current { live: Live::open(&server).await?, failures: 0, away: None };
    let shared = Shared { server: server.clone(), current: Mutex::new(current) };
    Ok((server, Connection(Arc::new(shared))))
}

/// A connection that is made anew when it is lost, silent, or leads to a server that takes no writes; cheap to clone.
/// The command that meets the loss fails, for nobody knows whether it was done; the next ones wait for the new connection.
#[derive(Clone)]
pub struct Connection(Arc<Shared>);

struct Shared {
    server: Server,
    /// Locked while it is made anew, by the first who needs it: the others wait in line.
    current: Mutex<Current>,
}

struct Current {
    live: Live,
    /// Failed tries to make it anew.
    failures: u32,
    /// Since when it could not be.
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
    /// The connection, made anew when it was lost.
    async fn live(&self) -> RedisResult<Live> {
        let Shared { server, current } = &*self.0;
        let live = async {
            let mut current = current.lock().await;
            while current.live.is_lost() {
                if current.failures > 0 {
                    tokio::time::sleep(backoff::pause(current.failures.min(LONGEST_PAUSE))).await;
                }
                // Counted before, for who waits for us may give us up.
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

/// The most failures that lengthen the pause before the next: up to 400 ms.
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

    /// Waits for the answer to a command, and looks at it.
    async fn answer<T>(
        &self,
        command: impl Future<Output = RedisResult<T>>,
        values: impl FnOnce(&T) -> &[Value],
    ) -> RedisResult<T> {
        let answer = self.lost.run_until_cancelled(command).await.unwrap_or_else(|| Err(closed()));
        let is_lost = match &answer {
            Ok(answer) => self.since.elapsed() > LEFT_AFTER && values(answer).iter().any(takes_no_writes),
            // On a connection that is silent, everything waits behind what was asked first.
            Err(error) => error.is_unrecoverable_error() || error.is_timeout(),
        };
        if is_lost {
            self.lost.cancel();
        }
        answer
    }
}

/// A server that takes no writes is left after this time: when there is no other, that leads to it again.
const LEFT_AFTER: Duration = Duration::from_secs(1);

/// Whether a replica answers, or a master that nobody follows any more. A script of Redis 6 gives another error as text.
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

/// What a command hears whose connection was lost.
pub(super) fn closed() -> RedisError {
    io::Error::from(io::ErrorKind::ConnectionReset).into()
}

impl From<RedisError> for QueueError {
    fn from(error: RedisError) -> Self {
        Self(error.into())
    }
}
