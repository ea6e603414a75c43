//! How the bytes for one socket travel: what waits to be sent, what has left, and by which connection.
//!
//! Engine.IO bounds what waits for a socket by packets, and a packet may be a whole outcome. Bytes are counted here: those
//! of a WebSocket have left when the kernel has taken them, those of long polling when an answer has them.

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::{
    budget::Share,
    wire::{Wire, large::Large},
};

/// How often to look whether a socket has room although nothing says so.
const LOOK: Duration = Duration::from_secs(1);

/// The transport of one signed-in socket.
#[derive(Debug)]
pub(super) struct Transport {
    state: Mutex<State>,
    /// An answer to long polling has taken something.
    polled: Notify,
    /// The most bytes that may wait, unless a single packet has more.
    most: u64,
    /// The most bytes that may come in without a message that is handled.
    most_inbound: u64,
}

#[derive(Debug, Default)]
struct State {
    /// The WebSocket, unless this is long polling still.
    wire: Option<Arc<Wire>>,
    /// How many bytes were ever sent.
    sent: u64,
    /// With a WebSocket: the written bytes at which nothing waits any more.
    target: u64,
    /// With long polling: the bytes that wait, and the shares that are given back when those before them have left.
    queued: u64,
    shares: VecDeque<(u64, Share)>,
    /// How many answers to long polling have taken something.
    answers: u64,
    /// With long polling: large messages that wait as references, by number.
    large: Vec<(u64, Large)>,
    /// The number of the last large message.
    last: u64,
    inbound: u64,
}

impl State {
    fn waiting(&self) -> u64 {
        match &self.wire {
            Some(wire) => self.target.saturating_sub(wire.written()),
            None => self.queued,
        }
    }

    fn left(&self) -> u64 {
        self.sent - self.waiting().min(self.sent)
    }
}

impl Transport {
    /// A transport by the WebSocket `wire`, or by long polling. Up to `most` bytes may wait to be sent, and up to
    /// `most_inbound` may come in before a message is handled.
    pub(super) fn new(wire: Option<Arc<Wire>>, most: usize, most_inbound: u64) -> Self {
        if let Some(wire) = &wire {
            wire.limit(most_inbound);
        }
        let state = Mutex::new(State { wire, ..State::default() });
        Self { state, polled: Notify::new(), most: most as u64, most_inbound }
    }

    /// Whether `bytes` more may wait. If nothing waits, a packet of any size may.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.has_room_of(self.most, bytes)
    }

    /// The same when up to `most` bytes may wait.
    pub(super) fn has_room_of(&self, most: u64, bytes: usize) -> bool {
        let waiting = self.lock().waiting();
        waiting == 0 || waiting + bytes as u64 <= most
    }

    /// Whether nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        self.lock().waiting() == 0
    }

    /// Waits until half of the room is free; `false` when the connection is gone.
    pub(super) async fn room(&self) -> bool {
        loop {
            let progress = self.progress();
            {
                let state = self.lock();
                if state.wire.as_ref().is_some_and(|wire| wire.is_closed()) {
                    return false;
                }
                if state.waiting() <= self.most / 2 {
                    return true;
                }
            }
            self.progressed(progress).await;
        }
    }

    /// How much has left, packets that are not counted among them: to see later whether more has.
    pub(super) fn progress(&self) -> u64 {
        let state = self.lock();
        state.wire.as_ref().map_or(state.answers, |wire| wire.written())
    }

    /// Waits until there is more progress than that, or a second.
    pub(super) async fn progressed(&self, progress: u64) {
        let polled = self.polled.notified();
        let wire = self.lock().wire.clone();
        match wire {
            Some(wire) => wire.progressed(progress, LOOK).await,
            None if self.progress() == progress => drop(tokio::time::timeout(LOOK, polled).await),
            None => {}
        }
    }

    /// Notes that `bytes` are about to be sent. Returns the mark of these bytes: they have left when [`Self::left`] is that
    /// much.
    pub(super) fn send(&self, bytes: usize) -> u64 {
        let mut state = self.lock();
        state.sent += bytes as u64;
        if let Some(wire) = state.wire.clone() {
            state.target = state.target.max(wire.written()) + bytes as u64;
        } else {
            state.queued += bytes as u64;
        }
        state.sent
    }

    /// Keeps `share` until the bytes with this mark, which were sent, have left.
    pub(super) fn keep(&self, mark: u64, share: Share) {
        let mut state = self.lock();
        if let Some(wire) = &state.wire {
            wire.owe(state.target, share);
        } else if state.left() < mark {
            state.shares.push_back((mark, share));
        }
    }

    /// A reference to `message` is about to be sent; returns its number.
    pub(super) fn refer(&self, message: Large) -> u64 {
        let mut state = self.lock();
        state.last += 1;
        let number = state.last;
        match &state.wire {
            Some(wire) => wire.refer(number, message),
            None => state.large.push((number, message)),
        }
        number
    }

    /// The message that a reference stands for; it is sent now.
    pub(super) fn referred(&self, number: u64) -> Option<Large> {
        let mut state = self.lock();
        match state.large.iter().position(|(of, _)| *of == number) {
            Some(at) => Some(state.large.remove(at).1),
            None => state.wire.as_ref()?.referred(number),
        }
    }

    /// The bytes that were noted last were not sent after all, nor the reference of this number.
    pub(super) fn unsend(&self, bytes: usize, number: Option<u64>) {
        let mut state = self.lock();
        state.sent -= bytes as u64;
        if state.wire.is_some() {
            state.target = state.target.saturating_sub(bytes as u64);
        } else {
            state.queued = state.queued.saturating_sub(bytes as u64);
        }
        drop(state);
        // Nobody else will ask for it.
        number.and_then(|number| self.referred(number));
    }

    /// How many bytes were ever sent.
    pub(super) fn sent(&self) -> u64 {
        self.lock().sent
    }

    /// How many of the bytes ever sent have left.
    pub(super) fn left(&self) -> u64 {
        self.lock().left()
    }

    /// Whether its connection was closed because the client took nothing any more.
    pub(super) fn is_stalled(&self) -> bool {
        self.lock().wire.as_ref().is_some_and(|wire| wire.is_stalled())
    }

    /// An answer to long polling has taken `bytes`, which `wire` will write.
    pub(super) fn polled(&self, bytes: u64, wire: &Wire) {
        let mut state = self.lock();
        state.answers += 1;
        if state.wire.is_some() {
            // The last answer before the WebSocket takes over.
            state.target = state.target.saturating_sub(bytes);
        } else {
            state.queued = state.queued.saturating_sub(bytes);
            let left = state.left();
            while state.shares.front().is_some_and(|(sent, _)| *sent <= left) {
                if let Some((_, share)) = state.shares.pop_front() {
                    wire.owe(wire.written() + bytes, share);
                }
            }
        }
        drop(state);
        self.polled.notify_waiters();
    }

    /// From now on `wire`, a WebSocket, sends what waits; `false` if another one does already.
    pub(super) fn upgrade(&self, wire: &Arc<Wire>) -> bool {
        let mut state = self.lock();
        if state.wire.as_ref().is_some_and(|wire| !wire.is_closed()) {
            return false;
        }
        wire.limit(self.most_inbound);
        state.target = wire.written() + state.waiting();
        for (_, share) in std::mem::take(&mut state.shares) {
            wire.owe(state.target, share);
        }
        for (number, message) in std::mem::take(&mut state.large) {
            wire.refer(number, message);
        }
        (state.wire, state.queued) = (Some(Arc::clone(wire)), 0);
        drop(state);
        self.polled.notify_waiters();
        true
    }

    /// A message has come by long polling; `false` when it is too much without one that is handled.
    pub(super) fn posted(&self, bytes: u64) -> bool {
        let mut state = self.lock();
        state.inbound += bytes;
        state.inbound <= self.most_inbound
    }

    /// A message of the client was handled.
    pub(super) fn handled(&self) {
        let mut state = self.lock();
        state.inbound = 0;
        if let Some(wire) = &state.wire {
            wire.handled();
        }
    }

    /// Ends the connection, if it is a WebSocket.
    pub(super) fn close(&self) {
        if let Some(wire) = &self.lock().wire {
            wire.close();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
