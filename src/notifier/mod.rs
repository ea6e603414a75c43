//! Tells browsers the outcomes of their jobs, over Socket.IO.

mod profile;
mod rooms;

use std::sync::Arc;

use axum::Router;
use serde::{Deserialize, Serialize};
use socketioxide::{
    SocketIo,
    extract::{AckSender, MaybeExtension, SocketRef, TryData},
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
    legacy: bool,
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
            .max_payload(MAX_MESSAGE as u64)
            .ws_max_message_size(MAX_MESSAGE)
            .build_svc();
        let (origins, legacy) = (config.origins.clone(), config.legacy);
        let sign_in = move |socket: SocketRef, TryData(shown): TryData<SignIn>| {
            let token = shown.map(|shown| shown.token).unwrap_or_default();
            let signed_in = match auth.verify(&token) {
                _ if !origin::allowed(&origins, &socket.req_parts().headers) => Err(Refused::Origin),
                Err(TokenError::Missing) if legacy => Ok(()),
                Ok(caller) => {
                    socket.extensions.insert(caller);
                    Ok(())
                }
                Err(error) => Err(error.into()),
            };
            async move { signed_in }
        };
        let connected = async move |socket: SocketRef, io: SocketIo| {
            metrics.socket(1);
            socket.on("joinRoom", async move |socket, room, caller, ack| {
                join_room(legacy, &socket, room, caller, ack);
            });
            let passing = Arc::clone(&metrics);
            socket.on("Profile", async move |profile, caller| {
                profile::pass(io, passing, legacy, profile, caller).await;
            });
            socket.on_disconnect(async move || metrics.socket(-1));
        };
        io.ns("/", connected.with(sign_in));
        (Router::new().route_service("/socket.io/", endpoint), Self { io, legacy })
    }

    /// Tells the user's sockets in the room of the job's queue. Whoever is not there hears nothing.
    pub async fn emit(&self, job: &Job, outcome: &Outcome) {
        let mut to = vec![rooms::proven(&outcome.user, job.queue)];
        if self.legacy {
            to.push(rooms::asked(&rooms::name(&outcome.user, job.queue)));
        }
        if let Err(error) = self.io.to(to).emit(PROFILE_RESPONSE, &outcome.profile).await {
            tracing::warn!(job = job.id, queue = job.queue, %error, "an outcome did not reach every socket");
        }
    }

    /// Closes all sockets; their clients connect again by themselves.
    pub async fn close(&self) {
        self.io.close().await;
    }
}

/// Largest message from a client, in bytes: as in Node's Socket.IO, for services that emit documents.
const MAX_MESSAGE: usize = 1_000_000;

/// Rooms that one socket may be in, two for each that was asked for; the platform has far fewer queues.
const MAX_ROOMS: usize = 200;

/// Joins a room of the caller's own, or, for `legacy` sockets without a token, any.
fn join_room(
    legacy: bool,
    socket: &SocketRef,
    TryData(name): TryData<String>,
    MaybeExtension(caller): MaybeExtension<Caller>,
    ack: AckSender,
) {
    let name = name.unwrap_or_default();
    let rooms = match &caller {
        Some(caller) => rooms::own(&name, caller).map(|own| vec![own, rooms::asked(&name)]),
        None => (legacy && !name.is_empty()).then(|| vec![rooms::asked(&name)]),
    };
    let joined = socket.rooms();
    let error = match rooms {
        None => Some("not your room: it must be <your Id>_<queue>"),
        Some(rooms) if joined.len() >= MAX_ROOMS && !joined.contains(&rooms[0].as_str().into()) => {
            Some("too many rooms")
        }
        Some(rooms) => {
            socket.join(rooms);
            None
        }
    };
    if let Err(error) = ack.send(&Joined { ok: error.is_none(), room: &name, error }) {
        tracing::debug!(%error, "the socket left before it heard whether it joined");
    }
}
