//! `Profile`: a sibling service sends something to a room, as it did through the platform's `Messages_User`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;
use socketioxide::{
    SocketIo,
    extract::{MaybeExtension, SocketRef, TryData},
};

use super::{hub::Hub, listen::Shared, member::send, packet::Packet, rooms, transport::Transport};
use crate::{auth::Caller, json::Json, queue::log::Message};

/// What a service emits; everything but the room is passed on as it is.
#[derive(Deserialize)]
pub(super) struct Profile {
    /// The room, as its clients ask for it.
    #[serde(rename = "Id")]
    room: String,
    #[serde(flatten)]
    response: Response,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    #[serde(default)]
    message: Json,
    #[serde(default)]
    status: Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<Json>,
}

/// Passes a `Profile` on to its room, on whichever process, if it comes from a service, or if `legacy` admits everybody.
pub(super) async fn pass(
    io: SocketIo,
    Shared { hub, metrics, legacy, .. }: &Shared,
    TryData(profile): TryData<Profile>,
    MaybeExtension(caller): MaybeExtension<Caller>,
) {
    let signed = caller.as_ref().is_some_and(Caller::is_service);
    let word = match profile.ok().filter(|_| signed || *legacy).and_then(Profile::message) {
        None => "refused",
        Some(message) => {
            emit(&io, hub, &message);
            hub.pass(&message).await;
            if signed { "passed" } else { "unsigned" }
        }
    };
    metrics.profile(word);
    tracing::debug!(from = caller.as_ref().map(Caller::user), outcome = word, "Profile");
}

impl Profile {
    pub(super) fn message(self) -> Option<Message> {
        Some(Message { response: to_raw_value(&self.response).ok()?, room: self.room })
    }
}

/// Sends a message to the sockets of its room here. Nothing keeps it, so much more of it may wait for a socket than of
/// outcomes; one that has no room for it does not get it.
pub(super) fn emit(io: &SocketIo, hub: &Hub, Message { room, response }: &Message) {
    let budgets = hub.budgets();
    let share = if Packet::is_large(response) {
        let Some(share) = budgets.try_take_profile(response.get().len()) else {
            tracing::warn!(room, "a Profile was dropped: too much is under way to sockets");
            return;
        };
        Some(share)
    } else {
        None
    };
    let packet = Packet::new(response.clone(), share);
    let sockets = io.to(rooms::asked(room)).sockets();
    let sent = |socket: &SocketRef| {
        let transport = socket.extensions.get::<Arc<Transport>>();
        transport.is_some_and(|transport| {
            transport.has_room_of(budgets.user_bytes() as u64, packet.bytes())
                && send(socket, &transport, &packet, budgets).is_ok()
        })
    };
    let missed = sockets.iter().filter(|socket| !sent(socket)).count();
    if missed > 0 {
        tracing::warn!(
            room,
            missed,
            "a Profile did not reach every socket: they take what they are sent too slowly"
        );
    }
}
