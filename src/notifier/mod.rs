//! Tells browsers the outcomes of their jobs, over Socket.IO.

mod rooms;

use std::sync::Arc;

use axum::Router;
use serde::{Deserialize, Serialize};
use socketioxide::{
    SocketIo,
    extract::{AckSender, Extension, SocketRef, TryData},
    handler::ConnectHandler,
};

use crate::{
    auth::{Auth, Caller, TokenError},
    config,
    metrics::Metrics,
    origin,
    outcome::Outcome,
    queue::Job,
};

/// The event that an outcome is told with.
const PROFILE_RESPONSE: &str = "Profile_Response";

/// Emits outcomes to the sockets of this process.
#[derive(Clone)]
pub struct Notifier {
    io: SocketIo,
}

/// What a client shows at the handshake: `io(url, { auth: { token } })`.
#[derive(Deserialize)]
struct SignIn {
    token: String,
}

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
    /// The Socket.IO endpoint: a route for each server that should have it, and the notifier behind it.
    pub fn new(auth: Arc<Auth>, metrics: Arc<Metrics>, config: &config::Socket) -> (Router, Self) {
        let (endpoint, io) = SocketIo::builder()
            .max_buffer_size(config.buffer)
            .max_payload(MAX_PAYLOAD)
            .ws_max_message_size(MAX_MESSAGE)
            .build_svc();
        let origins = config.origins.clone();
        let sign_in = move |socket: SocketRef, TryData(shown): TryData<SignIn>| {
            let caller = if origin::allowed(&origins, &socket.req_parts().headers) {
                let token = shown.map(|shown| shown.token).unwrap_or_default();
                auth.verify(&token).map_err(Refused::from)
            } else {
                Err(Refused::Origin)
            };
            async move { caller.map(|caller| drop(socket.extensions.insert(caller))) }
        };
        let connected = move |socket: SocketRef| {
            let metrics = Arc::clone(&metrics);
            async move {
                metrics.socket(1);
                socket.on("joinRoom", join_room);
                socket.on_disconnect(move || async move { metrics.socket(-1) });
            }
        };
        io.ns("/", connected.with(sign_in));
        (Router::new().route_service("/socket.io/", endpoint), Self { io })
    }

    /// Tells the user's sockets in the room of the job's queue. Whoever is not there hears nothing.
    pub async fn emit(&self, job: &Job, outcome: &Outcome) {
        let room = rooms::name(&outcome.user, job.queue);
        if let Err(error) = self.io.to(room).emit(PROFILE_RESPONSE, &outcome.profile).await {
            tracing::warn!(job = job.id, queue = job.queue, %error, "an outcome did not reach every socket");
        }
    }

    /// Closes all sockets; their clients connect again by themselves.
    pub async fn close(&self) {
        self.io.close().await;
    }
}

/// Largest packet from a polling client, in bytes: clients only sign in, join and acknowledge.
const MAX_PAYLOAD: u64 = 100_000;

/// The same for WebSocket clients.
const MAX_MESSAGE: usize = 100_000;

/// Rooms that one socket may be in; the platform has far fewer queues.
const MAX_ROOMS: usize = 100;

async fn join_room(
    socket: SocketRef,
    TryData(room): TryData<String>,
    Extension(caller): Extension<Caller>,
    ack: AckSender,
) {
    let room = room.unwrap_or_default();
    let error = match rooms::own(&room, &caller) {
        None => Some("not your room: it must be <your Id>_<queue>"),
        Some(_) if socket.rooms().len() >= MAX_ROOMS => Some("too many rooms"),
        Some(name) => {
            socket.join(name);
            None
        }
    };
    let joined = Joined { ok: error.is_none(), room: &room, error };
    if let Err(error) = ack.send(&joined) {
        tracing::debug!(%error, "the socket left before it heard whether it joined");
    }
}
