//! Who may connect: the sign-in of a socket, at the CONNECT packet of Socket.IO.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

use serde::Deserialize;
use socketioxide::{TransportType, extract::SocketRef};

use super::{
    entrance::{Entrance, Visit},
    listen::{Guest, Shared, listen},
    member::Position,
};
use crate::{
    auth::{Auth, Caller, TokenError},
    config::Origins,
    json::Json,
    origin,
    queue::log::Seq,
};

/// What a client sends at the handshake: `io(url, { auth: { token } })`, and, to miss nothing, the `Seq` and `Epoch` of
/// the last `Profile_Response` that it heard, as `lastSeq` and `epoch`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    #[serde(default)]
    token: String,
    #[serde(default)]
    last_seq: Json,
    #[serde(default)]
    epoch: Json,
}

impl Shown {
    /// What the client says it heard last; what cannot be read becomes a place that no log has.
    pub(super) fn resumes(&self) -> Option<Position> {
        let Json(seq) = &self.last_seq;
        let Json(epoch) = &self.epoch;
        if seq.is_null() && epoch.is_null() {
            return None;
        }
        let epoch = epoch.as_str().unwrap_or_default().into();
        Some(Position { epoch, seq: seq.as_i64().unwrap_or(Seq::MAX) })
    }
}

/// Why a socket is refused; the client gets this as the message of `connect_error`.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("sign-in refused: {0}; connect with auth: {{ token }}")]
    Token(#[from] TokenError),
    #[error("sign-in refused: this origin is not allowed to connect")]
    Origin,
    #[error("sign-in refused: this user has {0} sockets here, the most there may be; close some")]
    TooMany(usize),
    #[error("sign-in refused: the connection has ended")]
    Gone,
}

impl Refused {
    /// A one-word label, for metrics.
    fn word(&self) -> &'static str {
        match self {
            Self::Token(error) => error.word(),
            Self::Origin => "origin",
            Self::TooMany(_) => "too_many",
            Self::Gone => "gone",
        }
    }
}

/// What decides who may connect.
pub(super) struct Door {
    pub auth: Arc<Auth>,
    pub origins: Origins,
    pub entrance: Arc<Entrance>,
    pub per_user: Arc<PerUser>,
    /// The most bytes that may wait for one socket.
    pub buffer_bytes: usize,
    pub shared: Arc<Shared>,
}

impl Door {
    /// Signs a socket in.
    pub(super) fn sign_in(&self, socket: &SocketRef, shown: Option<&Shown>) -> Result<(), Refused> {
        let signed_in = self.admit(socket, shown);
        if let Err(refused) = &signed_in {
            self.shared.metrics.refused(refused.word());
        }
        signed_in
    }

    fn admit(&self, socket: &SocketRef, shown: Option<&Shown>) -> Result<(), Refused> {
        let request = socket.req_parts();
        if !origin::allowed(&self.origins, &request.headers) {
            return Err(Refused::Origin);
        }
        let caller = match self.auth.verify(shown.map_or("", |shown| &shown.token)) {
            Ok(caller) => Some(caller),
            Err(TokenError::Missing) if self.shared.legacy => None,
            Err(error) => return Err(error.into()),
        };
        let place = caller.as_ref().map(|caller| self.per_user.enter(caller)).transpose()?;
        let visit = request.extensions.get::<Visit>().ok_or(Refused::Gone)?;
        let is_websocket = socket.transport_type() == TransportType::Websocket;
        let transport =
            self.entrance.sign_in(socket.id, visit, is_websocket, self.buffer_bytes).ok_or(Refused::Gone)?;
        match caller {
            Some(caller) => {
                socket.extensions.insert(caller);
                if let Some(from) = shown.and_then(Shown::resumes) {
                    socket.extensions.insert(from);
                }
            }
            None => drop(socket.extensions.insert(Guest::default())),
        }
        if let Some(place) = place {
            socket.extensions.insert(Arc::new(place));
        }
        // Before the client is told that it is connected: what it says at once must be heard.
        listen(socket, &transport, &self.shared);
        socket.extensions.insert(transport);
        Ok(())
    }
}

/// How many sockets each user has here.
pub(super) struct PerUser {
    /// 0 for no limit.
    most: usize,
    users: Mutex<HashMap<String, usize>>,
}

/// A socket's place among those of its user.
pub(super) struct Place {
    per_user: Arc<PerUser>,
    user: String,
}

impl PerUser {
    /// Up to `most` sockets for each user; 0 for no limit.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, users: Mutex::default() })
    }

    fn enter(self: &Arc<Self>, caller: &Caller) -> Result<Place, Refused> {
        let user = caller.user().to_owned();
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let count = users.entry(user.clone()).or_default();
        // All sockets of a sibling service may have one name.
        if self.most > 0 && *count >= self.most && !caller.is_service() {
            return Err(Refused::TooMany(self.most));
        }
        *count += 1;
        Ok(Place { per_user: Arc::clone(self), user })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut users = self.per_user.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = users.entry(std::mem::take(&mut self.user)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}
