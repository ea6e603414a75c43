//! What a socket's client may say: that it joins a room, has heard something, or, as a service, sends a `Profile`.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use socketioxide::{
    SocketIo,
    extract::{AckSender, MaybeExtension, SocketRef, TryData},
    socket::DisconnectReason,
};

use super::{hub::Hub, profile, rooms};
use crate::{auth::Caller, metrics::Metrics, queue::log::Seq};

/// The users whose rooms a socket without a token has joined.
#[derive(Clone, Default)]
pub(super) struct Guest(Arc<Mutex<Vec<String>>>);

/// The answer to `joinRoom`, for clients that ask for one.
#[derive(Serialize)]
struct Joined<'a> {
    ok: bool,
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

/// Listens to what a socket's client says.
pub(super) fn listen(
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
    let (passing, counting) = (Arc::clone(hub), Arc::clone(metrics));
    socket.on("Profile", async move |io: SocketIo, profile, caller| {
        profile::pass(io, &passing, &counting, legacy, profile, caller).await;
    });
    let acknowledged = Arc::clone(hub);
    socket.on("acknowledge", async move |socket, seq, caller| {
        acknowledge(&acknowledged, &socket, seq, caller);
    });
    let (left, counted) = (Arc::clone(hub), Arc::clone(metrics));
    socket.on_disconnect(async move |socket, reason, caller, guest| {
        let MaybeExtension(signed_in) = &caller;
        counted.socket(-1, signed_in.is_some());
        leave(&left, &socket, reason, caller, guest);
    });
}

/// The longest room name, in bytes.
const MAX_NAME: usize = 256;

/// Joins one of the caller's own rooms, or, for a guest of a `legacy` service, any room.
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
    } else if name.len() > MAX_NAME {
        Some("the name is too long")
    } else if joined.len() >= MAX_ROOMS && !joined.contains(&asked.as_str().into()) {
        Some("too many rooms")
    } else {
        socket.join(asked);
        None
    };
    if let Err(error) = ack.send(&Joined { ok: error.is_none(), room: &name, error }) {
        tracing::debug!(%error, "the socket left before it was told whether it had joined");
    }
    if error.is_some() {
        return;
    }
    if let (Some(caller), Some(queue)) = (&caller, own.filter(|own| queues.contains(own))) {
        hub.join(socket, caller.user(), queue);
    }
    if let (Some(guest), Some((user, queue))) = (&guest, rooms::split(&name, queues)) {
        let mut users = guest.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !users.iter().any(|known| known == user) {
            users.push(user.to_owned());
        }
        drop(users);
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
