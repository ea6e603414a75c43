//! `Profile`: a sibling service sends something to a room, as it did through the platform's `Messages_User`.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;
use socketioxide::{
    SocketIo,
    extract::{MaybeExtension, TryData},
};

use super::{PROFILE_RESPONSE, hub::Hub, rooms};
use crate::{auth::Caller, json::Json, metrics::Metrics, queue::log::Message};

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
    hub: &Hub,
    metrics: &Metrics,
    legacy: bool,
    TryData(profile): TryData<Profile>,
    MaybeExtension(caller): MaybeExtension<Caller>,
) {
    let signed = caller.as_ref().is_some_and(Caller::is_service);
    let word = match profile.ok().filter(|_| signed || legacy).and_then(Profile::message) {
        None => "refused",
        Some(message) if !emit(&io, &message).await => "ambiguous",
        Some(message) => {
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

/// Sends a message to the sockets of its room here; `false` when those of several users have asked for a room of this name,
/// so it is not clear whose it is.
pub(super) async fn emit(io: &SocketIo, Message { room, response }: &Message) -> bool {
    let asked = rooms::asked(room);
    let sockets = io.to(asked.clone()).sockets();
    let callers = sockets.iter().filter_map(|socket| socket.extensions.get::<Caller>());
    let users: HashSet<_> = callers.map(|caller| caller.user().to_owned()).collect();
    if users.len() > 1 {
        tracing::warn!(
            room,
            "a Profile was held back: several users, whose ids begin alike, are in rooms of this name"
        );
        return false;
    }
    if let Err(error) = io.to(asked).emit(PROFILE_RESPONSE, response).await {
        tracing::warn!(room, %error, "a Profile did not reach every socket");
    }
    true
}
