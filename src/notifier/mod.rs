//! Tells browsers the outcomes of their jobs, over Socket.IO.

mod doubt;
mod hub;
mod member;
mod profile;
mod response;
mod rooms;
mod user;
mod waiting;

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use socketioxide::{
    SocketIo,
    extract::{AckSender, MaybeExtension, SocketRef, TryData},
    handler::ConnectHandler,
    socket::DisconnectReason,
};
use tokio::sync::mpsc;

pub use waiting::Wait;

use crate::{
    auth::{Auth, Caller, TokenError},
    config,
    metrics::Metrics,
    origin,
    outcome::Outcome,
    queue::{
        log::{Grown, News, OutcomeLog, Place, Seq},
        worker::Process,
    },
};
use hub::Hub;
use member::Position;
use response::Told;
use waiting::Waiting;

/// The event that an outcome is told with.
const PROFILE_RESPONSE: &str = "Profile_Response";

/// Tells outcomes to the sockets of this process.
#[derive(Clone)]
pub struct Notifier {
    io: SocketIo,
    hub: Arc<Hub>,
    waiting: Arc<Waiting>,
}

/// What a client shows at the handshake: `io(url, { auth: { token } })`, and, when it is to miss nothing, the `Seq` and
/// `Epoch` of the last `Profile_Response` that it heard, as `lastSeq` and `epoch`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignIn {
    #[serde(default)]
    token: String,
    #[serde(default)]
    last_seq: Value,
    #[serde(default)]
    epoch: Value,
}

impl SignIn {
    /// What the client says that it heard last; what cannot be read is a place that no log has.
    fn resumes(&self) -> Option<Position> {
        if self.last_seq.is_null() && self.epoch.is_null() {
            return None;
        }
        let epoch = self.epoch.as_str().unwrap_or_default().into();
        Some(Position { epoch, seq: self.last_seq.as_i64().unwrap_or(Seq::MAX) })
    }
}

/// `acknowledge`: the client has every `Profile_Response` up to this one.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Acknowledged {
    seq: Seq,
}

/// The users whose rooms a socket without a token is in.
#[derive(Clone, Default)]
struct Guest(Arc<Mutex<Vec<String>>>);

/// Why a socket is not let in; the client hears it as the message of `connect_error`.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("sign-in refused: {0}; connect with auth: {{ token }}")]
    Token(#[from] TokenError),
    #[error("sign-in refused: this origin is not allowed to connect")]
    Origin,
}

/// The answer to `joinRoom`, for clients that ask for one.
#[derive(Serialize)]
struct Joined<'a> {
    ok: bool,
    room: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

impl Notifier {
    /// The Socket.IO endpoint: a route for each server that should have it, and the notifier behind it. `queues` are those
    /// whose outcomes it will tell out of `log`.
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
            // Before the client hears that it is connected: what it says at once must find an ear.
            if signed_in.is_ok() {
                listen(&socket, &hub, &metrics, queues, legacy);
            }
            async move { signed_in }
        };
        let connected = async move |socket: SocketRef| {
            counted.socket(1);
            let shown = (socket.extensions.get::<Caller>(), socket.extensions.remove::<Position>());
            if let (Some(caller), Some(from)) = shown {
                entrance.resume(socket, caller.user(), from);
            }
        };
        io.ns("/", connected.with(sign_in));
        (
            Router::new().route_service("/socket.io/", endpoint),
            Self { io, hub: telling, waiting: Arc::default() },
        )
    }

    /// The outcome of a job was put into its user's log.
    pub fn logged(&self, queue: &str, job: &str, outcome: &Outcome, place: &Place) {
        self.hub.logged(&outcome.user, place, &Told::of(queue, job, outcome));
        self.waiting.ended(job);
    }

    /// The outcome of a job may have been put into its user's log.
    pub fn grown(&self, job: &str, outcome: &Outcome) {
        self.hub.grown(&outcome.user);
        self.waiting.ended(job);
    }

    /// The outcome of a job should have been in its user's log by now: tells it, and again only to who has not heard it.
    pub fn late(&self, queue: &str, job: &str, outcome: &Outcome) {
        self.hub.late(&outcome.user, &Told::of(queue, job, outcome));
    }

    /// Follows what other processes put into the logs.
    pub async fn follow(self, news: mpsc::UnboundedReceiver<News>) {
        let waiting = Arc::clone(&self.waiting);
        let ended = move |grown: &[Grown]| {
            for Grown { job, .. } in grown {
                waiting.ended(job);
            }
            if grown.is_empty() {
                waiting.any();
            }
        };
        Arc::clone(&self.hub).follow(news, ended).await;
    }

    /// Waits for the end of a job, on whichever process.
    #[must_use]
    pub fn wait(&self, job: &str) -> Wait {
        Arc::clone(&self.waiting).wait(job)
    }

    /// Closes all sockets; their clients connect again by themselves.
    pub async fn close(&self) {
        self.io.close().await;
        self.hub.end().await;
    }
}

/// Largest message from a client, in bytes: as in Node's Socket.IO, for services that emit documents.
const MAX_MESSAGE: usize = 1_000_000;

/// Rooms that one socket may be in; the platform has far fewer queues.
const MAX_ROOMS: usize = 100;

/// Listens to what the client of a socket says.
fn listen(
    socket: &SocketRef,
    hub: &Arc<Hub>,
    metrics: &Arc<Metrics>,
    queues: &'static [&'static str],
    legacy: bool,
) {
    let joining = Arc::clone(hub);
    socket.on("joinRoom", async move |socket, room, caller, guest, ack| {
        join_room(&joining, queues, &socket, room, (caller, guest), ack);
    });
    let passing = Arc::clone(metrics);
    socket.on("Profile", async move |io: SocketIo, profile, caller| {
        profile::pass(io, passing, legacy, profile, caller).await;
    });
    let acknowledged = Arc::clone(hub);
    socket.on("acknowledge", async move |socket, seq, caller| {
        acknowledge(&acknowledged, &socket, seq, caller);
    });
    let (left, counted) = (Arc::clone(hub), Arc::clone(metrics));
    socket.on_disconnect(async move |socket, reason, caller, guest| {
        counted.socket(-1);
        leave(&left, &socket, reason, caller, guest);
    });
}

/// Joins a room of the caller's own, or, for a guest of a `legacy` service, any.
fn join_room(
    hub: &Arc<Hub>,
    queues: &[&str],
    socket: &SocketRef,
    TryData(name): TryData<String>,
    (MaybeExtension(caller), MaybeExtension(guest)): (MaybeExtension<Caller>, MaybeExtension<Guest>),
    ack: AckSender,
) {
    let name = name.unwrap_or_default();
    let asked = rooms::asked(&name);
    let joined = socket.rooms();
    let own = caller.as_ref().and_then(|caller| rooms::own(&name, caller));
    let error = if own.is_none() && (guest.is_none() || name.is_empty()) {
        Some("not your room: it must be <your Id>_<queue>")
    } else if joined.len() >= MAX_ROOMS && !joined.contains(&asked.as_str().into()) {
        Some("too many rooms")
    } else {
        socket.join(asked);
        None
    };
    if let Err(error) = ack.send(&Joined { ok: error.is_none(), room: &name, error }) {
        tracing::debug!(%error, "the socket left before it heard whether it joined");
    }
    if error.is_some() {
        return;
    }
    if let (Some(caller), Some(queue)) = (&caller, own) {
        hub.join(socket, caller.user(), queue);
    }
    if let (Some(guest), Some((user, queue))) = (&guest, rooms::split(&name, queues)) {
        guest.0.lock().unwrap_or_else(PoisonError::into_inner).push(user.to_owned());
        hub.join(socket, user, queue);
    }
}

fn acknowledge(
    hub: &Hub,
    socket: &SocketRef,
    TryData(acknowledged): TryData<Acknowledged>,
    MaybeExtension(caller): MaybeExtension<Caller>,
) {
    if let (Ok(Acknowledged { seq }), Some(caller)) = (acknowledged, caller) {
        hub.acknowledge(caller.user(), socket.id, seq);
    }
}

fn leave(
    hub: &Hub,
    socket: &SocketRef,
    reason: DisconnectReason,
    MaybeExtension(caller): MaybeExtension<Caller>,
    MaybeExtension(guest): MaybeExtension<Guest>,
) {
    if let Some(caller) = caller {
        hub.leave(caller.user(), socket.id, reason);
    }
    if let Some(Guest(users)) = guest {
        let users = std::mem::take(&mut *users.lock().unwrap_or_else(PoisonError::into_inner));
        for user in &users {
            hub.leave(user, socket.id, reason);
        }
    }
}
