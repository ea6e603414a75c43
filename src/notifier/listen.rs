//! What a socket's client may say: that it joins a room, has heard something, or, as a service, sends a `Profile`.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use socketioxide::{
    SocketIo,
    extract::{AckSender, MaybeExtension, SocketRef, TryData},
    socket::DisconnectReason,
};

use super::{entrance::Entrance, hub::Hub, profile, rooms, transport::Transport};
use crate::{auth::Caller, metrics::Metrics, queue::log::Seq};

/// The users whose rooms a socket without a token has joined.
#[derive(Clone, Default)]
pub(super) struct Guest(Arc<Mutex<Vec<String>>>);

/// The answer to `joinRoom`, for clients that ask for one.
#[derive(Serialize)]
struct Joined<'a> {
    ok: bool,
    /// The name as it was asked for, or the beginning of a long one.
    room: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

/// `acknowledge`: the client has every `Profile_Response` up to this one.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Acknowledged {
    pub(super) seq: Seq,
}

/// How many rooms one socket may be in; the platform has far fewer queues.
const MAX_ROOMS: usize = 100;

/// What the listeners of all sockets share.
pub(super) struct Shared {
    pub hub: Arc<Hub>,
    pub metrics: Arc<Metrics>,
    pub entrance: Arc<Entrance>,
    /// The queues whose outcomes are sent from the log.
    pub served: &'static [&'static str],
    /// The queues that are known, those of sibling services among them.
    pub known: Vec<String>,
    pub legacy: bool,
}

/// Listens to what the client of a socket says, whose bytes travel by `transport`.
pub(super) fn listen(socket: &SocketRef, transport: &Arc<Transport>, shared: &Arc<Shared>) {
    let joining = Arc::clone(shared);
    let way = Arc::clone(transport);
    socket.on("joinRoom", async move |socket, room, caller, guest, ack| {
        way.handled();
        join_room(&joining, &socket, &way, room, (caller, guest), ack);
    });
    let passing = Arc::clone(shared);
    let way = Arc::clone(transport);
    socket.on("Profile", async move |io: SocketIo, profile, caller| {
        way.handled();
        profile::pass(io, &passing, profile, caller).await;
    });
    let acknowledged = Arc::clone(shared);
    let way = Arc::clone(transport);
    socket.on("acknowledge", async move |socket, seq, caller| {
        way.handled();
        acknowledge(&acknowledged.hub, &socket, seq, caller);
    });
    let way = Arc::clone(transport);
    socket.on_fallback(async move || way.handled());
    let left = Arc::clone(shared);
    socket.on_disconnect(async move |socket: SocketRef, reason, caller, guest| {
        let MaybeExtension(signed_in) = &caller;
        left.metrics.socket(-1, signed_in.is_some());
        left.entrance.leave(socket.id);
        leave(&left.hub, &socket, reason, caller, guest);
    });
}

/// The longest room name, in bytes.
const MAX_NAME: usize = 256;

/// Joins one of the caller's own rooms, or, for a guest of a `legacy` service, any room.
fn join_room(
    shared: &Shared,
    socket: &SocketRef,
    transport: &Arc<Transport>,
    TryData(name): TryData<String>,
    (MaybeExtension(caller), MaybeExtension(guest)): (MaybeExtension<Caller>, MaybeExtension<Guest>),
    ack: AckSender,
) {
    let Shared { hub, served, known, .. } = shared;
    let name = name.unwrap_or_default();
    let asked = rooms::asked(&name);
    let joined = socket.rooms();
    let own = caller.as_ref().and_then(|caller| rooms::own(&name, caller, known));
    let error = if own.is_none() && (guest.is_none() || name.is_empty()) {
        Some("not your room: it must be <your Id>_<queue>")
    } else if name.len() > MAX_NAME {
        Some("the name is too long")
    } else if joined.len() >= MAX_ROOMS && !joined.contains(&asked.as_str().into()) {
        Some("too many rooms")
    } else {
        socket.join(asked);
        None
    };
    if let Err(error) = ack.send(&Joined { ok: error.is_none(), room: beginning(&name), error }) {
        tracing::debug!(%error, "the socket left before it was told whether it had joined");
    }
    if error.is_some() {
        return;
    }
    if let (Some(caller), Some(queue)) = (&caller, own.filter(|own| served.contains(own))) {
        hub.join(socket, transport, caller.user(), queue);
    }
    let split = rooms::split(&name, known).filter(|(_, queue)| served.contains(queue));
    if let (Some(guest), Some((user, queue))) = (&guest, split) {
        let mut users = guest.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !users.iter().any(|known| known == user) {
            users.push(user.to_owned());
        }
        drop(users);
        hub.join(socket, transport, user, queue);
    }
}

/// A name, as far as it may be one: what a client sends is not sent back to it in full.
fn beginning(name: &str) -> &str {
    &name[..name.floor_char_boundary(MAX_NAME)]
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
    hub: &Arc<Hub>,
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
