//! The entrance to Engine.IO: bounds what strangers may cost, and notes by which connections sockets are sent to.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Buf;
use futures_util::stream;
use http_body_util::Limited;
use hyper::upgrade::OnUpgrade;
use socketioxide::socket::Sid;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{handshake, transport::Transport};
use crate::wire::{
    STRANGER_BYTES, Wire,
    large::{Found, find},
};

/// How long a POST of long polling may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most WebSockets that may be under way for sessions that have not signed in.
const MOST_EARLY: usize = 1024;

/// What the entrance knows.
pub(super) struct Entrance {
    /// One for each session that has not signed in.
    strangers: Arc<Semaphore>,
    /// The transports of sockets that began with long polling, to find them by the session id of a request.
    polling: Mutex<HashMap<Sid, Weak<Transport>>>,
    /// WebSockets of sessions that began with long polling, and have not signed in.
    early: Mutex<HashMap<Sid, Weak<Wire>>>,
    max_message: usize,
}

/// The connection that a session began with, and its place among the strangers, until it signs in or ends.
#[derive(Clone)]
pub(super) struct Visit {
    wire: Arc<Wire>,
    is_websocket: bool,
    stranger: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

/// A request to Engine.IO, as far as it matters here.
struct Asked {
    sid: Option<Sid>,
    is_websocket: bool,
}

impl Asked {
    fn of(uri: &Uri) -> Self {
        let pairs = || uri.query().unwrap_or_default().split('&');
        let sid = pairs().find_map(|pair| pair.strip_prefix("sid=")).and_then(|sid| sid.parse().ok());
        Self { sid, is_websocket: pairs().any(|pair| pair == "transport=websocket") }
    }
}

impl Entrance {
    /// An entrance for up to `most_strangers` sessions that have not signed in; messages have up to `max_message` bytes.
    pub(super) fn new(most_strangers: usize, max_message: usize) -> Arc<Self> {
        let strangers = Arc::new(Semaphore::new(most_strangers.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { strangers, polling: Mutex::default(), early: Mutex::default(), max_message })
    }

    /// The transport of a socket that signs in, whose session began with `visit`; `None` when its WebSocket is gone.
    pub(super) fn sign_in(
        &self,
        sid: Sid,
        visit: &Visit,
        is_websocket: bool,
        most: usize,
    ) -> Option<Arc<Transport>> {
        let wire = match (is_websocket, visit.is_websocket) {
            (false, _) => None,
            (true, true) => Some(Arc::clone(&visit.wire)),
            (true, false) => Some(lock(&self.early).remove(&sid)?.upgrade()?),
        };
        // One message, and another that is read before the first is handled.
        let most_inbound = 2 * self.max_message as u64 + STRANGER_BYTES as u64;
        let transport = Arc::new(Transport::new(wire, most, most_inbound));
        if !is_websocket {
            let mut polling = lock(&self.polling);
            polling.insert(sid, Arc::downgrade(&transport));
            // A WebSocket may be on its way already.
            if let Some(wire) = lock(&self.early).remove(&sid).and_then(|wire| wire.upgrade()) {
                transport.upgrade(&wire);
            }
        }
        lock(&visit.stranger).take();
        Some(transport)
    }

    /// A socket has left.
    pub(super) fn leave(&self, sid: Sid) {
        lock(&self.polling).remove(&sid);
    }

    fn transport(&self, sid: Sid) -> Option<Arc<Transport>> {
        lock(&self.polling).get(&sid)?.upgrade()
    }

    /// A WebSocket is about to take over the session `sid`; the status of the answer if it may not.
    fn upgrade(&self, sid: Sid, wire: &Arc<Wire>) -> Result<(), StatusCode> {
        wire.limit(STRANGER_BYTES as u64);
        let polling = lock(&self.polling);
        if let Some(transport) = polling.get(&sid).and_then(Weak::upgrade) {
            return transport.upgrade(wire).then_some(()).ok_or(StatusCode::BAD_REQUEST);
        }
        let mut early = lock(&self.early);
        early.retain(|_, wire| wire.upgrade().is_some_and(|wire| !wire.is_closed()));
        if early.contains_key(&sid) {
            return Err(StatusCode::BAD_REQUEST);
        }
        if early.len() >= MOST_EARLY {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        early.insert(sid, Arc::downgrade(wire));
        Ok(())
    }
}

/// Lets a request in, or answers it.
pub(super) async fn enter(State(entrance): State<Arc<Entrance>>, request: Request, next: Next) -> Response {
    let Asked { sid, is_websocket } = Asked::of(request.uri());
    let Some(wire) = request.extensions().get::<Arc<Wire>>().cloned() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    match (sid, request.method()) {
        (None, _) => {
            let Ok(permit) = Arc::clone(&entrance.strangers).try_acquire_owned() else {
                return busy();
            };
            let stranger = Arc::new(Mutex::new(Some(permit)));
            let mut request = handshake::lean(request);
            request.extensions_mut().insert(Visit { wire: Arc::clone(&wire), is_websocket, stranger });
            let answer = next.run(request).await;
            // It is one from when this answer is written.
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                wire.limit(STRANGER_BYTES as u64);
            }
            answer
        }
        (Some(sid), _) if is_websocket => {
            // Engine.IO says yes also where there is nothing to upgrade, as behind a proxy that does not pass it on.
            if request.extensions().get::<OnUpgrade>().is_none() {
                return StatusCode::UPGRADE_REQUIRED.into_response();
            }
            let answer = next.run(handshake::lean(request)).await;
            if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                return answer;
            }
            match entrance.upgrade(sid, &wire) {
                Ok(()) => answer,
                Err(StatusCode::SERVICE_UNAVAILABLE) => busy(),
                Err(status) => status.into_response(),
            }
        }
        (Some(sid), &Method::POST) => {
            let transport = entrance.transport(sid);
            let most = if transport.is_some() { entrance.max_message } else { STRANGER_BYTES };
            // Without a length, as much as it may have.
            let bytes = request.body().size_hint().exact().unwrap_or(most as u64);
            if bytes > most as u64 || transport.is_some_and(|transport| !transport.posted(bytes)) {
                return StatusCode::PAYLOAD_TOO_LARGE.into_response();
            }
            let request = handshake::lean(request).map(|body| Body::new(Limited::new(body, most)));
            let answer = tokio::time::timeout(PATIENCE, next.run(request)).await;
            answer.unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response())
        }
        (Some(sid), _) => {
            let answer = next.run(handshake::lean(request)).await;
            match entrance.transport(sid) {
                Some(transport) => polled(answer, &transport, &wire).await,
                None => answer,
            }
        }
    }
}

/// An answer to long polling, with large messages in place of their references; `wire` writes it.
async fn polled(answer: Response, transport: &Transport, wire: &Wire) -> Response {
    let (mut head, body) = answer.into_parts();
    // It is in memory already: Engine.IO bounds it, and large messages are references.
    let Ok(packets) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut parts = Vec::new();
    let mut rest = packets.clone();
    while let Some(Found { start, end, number }) = find(&rest) {
        parts.push(rest.split_to(start));
        rest.advance(end - start);
        parts.extend(transport.referred(number).map(|message| message.bytes().clone()));
    }
    parts.push(rest);
    let bytes: usize = parts.iter().map(Bytes::len).sum();
    transport.polled(bytes as u64, wire);
    if let Some(length) = head.headers.get_mut(header::CONTENT_LENGTH) {
        *length = bytes.into();
    }
    Response::from_parts(head, Body::from_stream(stream::iter(parts.into_iter().map(Ok::<_, Infallible>))))
}

/// Too many sessions that have not signed in.
fn busy() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")]).into_response()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
