//! Sends browsers the outcomes of their jobs, over Socket.IO.

mod doubt;
pub(crate) mod fuzzing;
mod handshake;
mod hub;
mod listen;
mod member;
mod profile;
mod response;
mod rooms;
mod user;
mod waiting;

use std::{future::ready, sync::Arc};

use axum::{Router, middleware::map_request};
use futures_util::FutureExt;
use serde::Deserialize;
use socketioxide::{
    SocketIo,
    extract::{SocketRef, TryData},
    handler::ConnectHandler,
};
use tokio::sync::mpsc;

pub use waiting::Wait;

use crate::{
    auth::{Auth, Caller, TokenError},
    config,
    json::Json,
    metrics::Metrics,
    origin,
    outcome::Outcome,
    queue::{
        log::{Grown, News, OutcomeLog, Place, Seq, Unheard},
        worker::Process,
    },
};
use hub::Hub;
use listen::{Guest, listen};
use member::Position;
use response::Told;
use waiting::Waiting;

/// The event that carries an outcome.
const PROFILE_RESPONSE: &str = "Profile_Response";

/// Sends outcomes to the sockets of this process.
#[derive(Clone)]
pub struct Notifier {
    io: SocketIo,
    hub: Arc<Hub>,
    waiting: Arc<Waiting>,
}

/// What a client sends at the handshake: `io(url, { auth: { token } })`, and, to miss nothing, the `Seq` and `Epoch` of
/// the last `Profile_Response` that it heard, as `lastSeq` and `epoch`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignIn {
    #[serde(default)]
    token: String,
    #[serde(default)]
    last_seq: Json,
    #[serde(default)]
    epoch: Json,
}

impl SignIn {
    /// What the client says it heard last; what cannot be read becomes a place that no log has.
    fn resumes(&self) -> Option<Position> {
        let (Json(epoch), Json(seq)) = (&self.epoch, &self.last_seq);
        if seq.is_null() && epoch.is_null() {
            return None;
        }
        let epoch = epoch.as_str().unwrap_or_default().into();
        Some(Position { epoch, seq: seq.as_i64().unwrap_or(Seq::MAX) })
    }
}

/// Why a socket is refused; the client gets this as the message of `connect_error`.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("sign-in refused: {0}; connect with auth: {{ token }}")]
    Token(#[from] TokenError),
    #[error("sign-in refused: this origin is not allowed to connect")]
    Origin,
}

impl Notifier {
    /// The Socket.IO endpoint: a route for each server that should have it, and the notifier behind it. `queues` are
    /// those whose outcomes it sends from `log`.
    pub fn new(
        auth: Arc<Auth>,
        metrics: Arc<Metrics>,
        config: &config::Socket,
        (queues, log): (&'static [&'static str], Arc<dyn OutcomeLog>),
        process: &Process,
    ) -> (Router, Self) {
        let (endpoint, io) = SocketIo::builder()
            .max_buffer_size(config.buffer)
            .max_payload(MAX_MESSAGE as u64)
            .ws_max_message_size(MAX_MESSAGE)
            .ws_read_buffer_size(READ_BUFFER)
            .build_svc();
        let hub = Hub::new(log, process.tasks.clone(), process.end.clone());
        let telling = Arc::clone(&hub);
        let marking = process.end.clone().run_until_cancelled_owned(Arc::clone(&hub).mark());
        process.tasks.spawn("mark what was heard", marking.map(drop));
        let (origins, legacy) = (config.origins.clone(), config.legacy);
        let (entrance, counted) = (Arc::clone(&hub), Arc::clone(&metrics));
        let sign_in = move |socket: SocketRef, TryData(shown): TryData<SignIn>| {
            let shown = shown.ok();
            let signed_in = match auth.verify(shown.as_ref().map_or("", |shown| &shown.token)) {
                _ if !origin::allowed(&origins, &socket.req_parts().headers) => Err(Refused::Origin),
                Err(TokenError::Missing) if legacy => {
                    socket.extensions.insert(Guest::default());
                    Ok(())
                }
                Ok(caller) => {
                    socket.extensions.insert(caller);
                    if let Some(from) = shown.and_then(|shown| shown.resumes()) {
                        socket.extensions.insert(from);
                    }
                    Ok(())
                }
                Err(error) => Err(error.into()),
            };
            match &signed_in {
                // Before the client is told that it is connected: what it says at once must be heard.
                Ok(()) => listen(&socket, &hub, &metrics, queues, legacy),
                Err(Refused::Token(error)) => metrics.refused(error.word()),
                Err(Refused::Origin) => metrics.refused("origin"),
            }
            async move { signed_in }
        };
        let connected = async move |socket: SocketRef| {
            counted.socket(1, socket.extensions.get::<Caller>().is_some());
            let shown = (socket.extensions.get::<Caller>(), socket.extensions.remove::<Position>());
            if let (Some(caller), Some(from)) = shown {
                entrance.resume(socket, caller.user(), from);
            }
        };
        io.ns("/", connected.with(sign_in));
        (
            Router::new()
                .route_service("/socket.io/", endpoint)
                .layer(map_request(|request| ready(handshake::lean(request)))),
            Self { io, hub: telling, waiting: Arc::default() },
        )
    }

    /// A job's outcome is now in its user's log.
    pub fn logged(&self, queue: &str, job: &str, outcome: &Outcome, place: &Place) {
        self.hub.logged(&outcome.user, place, &Told::of(queue, job, outcome));
        self.waiting.ended(job);
    }

    /// A job's outcome may now be in its user's log.
    pub fn grown(&self, job: &str, outcome: &Outcome) {
        self.hub.grown(&outcome.user);
        self.waiting.ended(job);
    }

    /// A job's outcome should have been in its user's log by now: sends it at once, and later only to sockets that have
    /// not had it.
    pub fn late(&self, queue: &str, job: &str, outcome: &Outcome) {
        self.hub.late(&outcome.user, &Told::of(queue, job, outcome));
    }

    /// Follows what comes from other processes: what they append to the logs, and messages for rooms.
    pub async fn follow(self, mut news: mpsc::UnboundedReceiver<News>) {
        while let Some(news) = news.recv().await {
            match news {
                News::Grown(grown) => {
                    for Grown { user, job } in &grown {
                        self.hub.grown(user);
                        self.waiting.ended(job);
                    }
                }
                News::Unheard(unheard) => {
                    for Unheard { user, queue } in &unheard {
                        self.hub.unheard(user, queue);
                    }
                }
                News::Message(message) => {
                    profile::emit(&self.io, &message).await;
                }
                News::Missed => {
                    self.hub.missed();
                    self.waiting.any();
                }
            }
        }
    }

    /// Waits for a job to end, on whichever process.
    #[must_use]
    pub fn wait(&self, job: &str) -> Wait {
        Arc::clone(&self.waiting).wait(job)
    }

    /// Closes all sockets; their clients reconnect by themselves.
    pub async fn close(&self) {
        self.io.close().await;
        self.hub.end().await;
    }
}

/// The largest message from a client, in bytes: as in Node's Socket.IO, for services that emit documents.
const MAX_MESSAGE: usize = 1_000_000;

/// Bytes read from a socket at a time. Clients say little, and each socket keeps a buffer of this size.
const READ_BUFFER: usize = 512;
