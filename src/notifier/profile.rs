//! `Profile`: a sibling service sends something to a room, as it did through the platform's `Messages_User`.

use std::{collections::HashSet, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use socketioxide::{
    SocketIo,
    extract::{MaybeExtension, TryData},
};

use super::{PROFILE_RESPONSE, rooms};
use crate::{auth::Caller, metrics::Metrics};

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
    message: Value,
    #[serde(default)]
    status: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<Value>,
}

/// What became of a `Profile`.
#[derive(Debug, Clone, Copy)]
enum Passed {
    /// It went to the room.
    On,
    /// It went to the room, but only because `legacy` admits everybody.
    Unsigned,
    /// It was not from a service, or was not a valid `Profile`.
    Refused,
    /// Sockets of several users had asked for a room of this name, so it is not clear whose it is.
    Ambiguous,
}

/// Passes a `Profile` on to its room if it comes from a service, or if `legacy` admits everybody.
pub(super) async fn pass(
    io: SocketIo,
    metrics: Arc<Metrics>,
    legacy: bool,
    TryData(profile): TryData<Profile>,
    MaybeExtension(caller): MaybeExtension<Caller>,
) {
    let signed = caller.as_ref().is_some_and(Caller::is_service);
    let passed = match profile {
        Ok(profile) if signed || legacy => match emit(&io, &profile).await {
            Passed::On if !signed => Passed::Unsigned,
            passed => passed,
        },
        _ => Passed::Refused,
    };
    let word = match passed {
        Passed::On => "passed",
        Passed::Unsigned => "unsigned",
        Passed::Refused => "refused",
        Passed::Ambiguous => "ambiguous",
    };
    metrics.profile(word);
    tracing::debug!(from = caller.as_ref().map(Caller::user), outcome = word, "Profile");
}

async fn emit(io: &SocketIo, Profile { room, response }: &Profile) -> Passed {
    let asked = rooms::asked(room);
    let sockets = io.to(asked.clone()).sockets();
    let callers = sockets.iter().filter_map(|socket| socket.extensions.get::<Caller>());
    let users: HashSet<_> = callers.map(|caller| caller.user().to_owned()).collect();
    if users.len() > 1 {
        tracing::warn!(
            room,
            "a Profile was held back: several users, whose ids begin alike, are in rooms of this name"
        );
        return Passed::Ambiguous;
    }
    if let Err(error) = io.to(asked).emit(PROFILE_RESPONSE, response).await {
        tracing::warn!(room, %error, "a Profile did not reach every socket");
    }
    Passed::On
}
