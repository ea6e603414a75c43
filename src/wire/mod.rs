//! One client's TCP connection, as those see it who send to it: how much it has taken, whether it still takes anything, and a
//! way to end it from below, whatever waits above.

mod connections;
mod guard;
pub(crate) mod large;

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

pub(crate) use connections::{Connections, Seat};
pub(crate) use guard::Guard;
use large::Large;

use crate::budget::Share;

/// The bytes that a stranger's WebSocket may send before it signs in: a CONNECT with a long token fits.
pub(crate) const STRANGER_BYTES: usize = 16 << 10;

/// What a WebSocket may send each second without a message that is handled: pongs, for one.
const IDLE_BYTES: u64 = 100;

/// A connection. [`Guard`] does what is asked of it here.
#[derive(Debug)]
pub(crate) struct Wire {
    /// Bytes that the kernel has taken.
    written: AtomicU64,
    closed: AtomicBool,
    /// It was closed because the peer took nothing for as long as the time-out allows.
    stalled: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
    progress: Notify,
    owed: Mutex<VecDeque<(u64, Share)>>,
    /// At how many written bytes the first of `owed` is due.
    next_due: AtomicU64,
    inbound: Mutex<Option<Inbound>>,
    /// Large messages that are on their way as references, by number.
    large: Mutex<VecDeque<(u64, Large)>>,
    /// Whether there are any.
    has_large: AtomicBool,
}

/// What a WebSocket has sent since its last message that was handled.
#[derive(Debug)]
struct Inbound {
    bytes: u64,
    most: u64,
    since: Instant,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            written: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
            progress: Notify::new(),
            owed: Mutex::default(),
            next_due: AtomicU64::new(u64::MAX),
            inbound: Mutex::default(),
            large: Mutex::default(),
            has_large: AtomicBool::new(false),
        }
    }
}

impl Wire {
    /// How many bytes the kernel has taken so far.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }

    /// Keeps `share` until `at` bytes are written, or the connection ends.
    pub(crate) fn owe(&self, at: u64, share: Share) {
        let mut owed = lock(&self.owed);
        if !self.is_closed() && self.written() < at {
            owed.push_back((at, share));
            self.next_due.fetch_min(at, Relaxed);
        }
    }

    /// Ends the connection: whoever reads or writes gets an error.
    pub(crate) fn close(&self) {
        self.closed.store(true, Relaxed);
        self.reader.wake();
        self.writer.wake();
        lock(&self.owed).clear();
        lock(&self.large).clear();
        self.progress.notify_waiters();
    }

    /// Whether it was closed from here.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// Whether it was closed because its peer took nothing any more.
    pub(crate) fn is_stalled(&self) -> bool {
        self.stalled.load(Relaxed)
    }

    /// A reference to `message` is about to be sent.
    pub(crate) fn refer(&self, number: u64, message: Large) {
        let mut large = lock(&self.large);
        if !self.is_closed() {
            large.push_back((number, message));
            self.has_large.store(true, Relaxed);
        }
    }

    /// The message that a reference stands for; it is sent now.
    pub(crate) fn referred(&self, number: u64) -> Option<Large> {
        let mut large = lock(&self.large);
        let at = large.iter().position(|(of, _)| *of == number)?;
        let found = large.remove(at);
        self.has_large.store(!large.is_empty(), Relaxed);
        found.map(|(_, message)| message)
    }

    /// Waits, `patience` at the most, until more than `written` bytes are written or the connection is closed.
    pub(crate) async fn progressed(&self, written: u64, patience: Duration) {
        let progressed = self.progress.notified();
        if !self.is_closed() && self.written() == written {
            tokio::time::timeout(patience, progressed).await.ok();
        }
    }

    /// From now on it is a WebSocket, which may send `most` bytes before a message of it is handled.
    pub(crate) fn limit(&self, most: u64) {
        *lock(&self.inbound) = Some(Inbound { bytes: 0, most, since: Instant::now() });
    }

    /// A message was handled.
    pub(crate) fn handled(&self) {
        if let Some(inbound) = &mut *lock(&self.inbound) {
            inbound.bytes = 0;
        }
    }

    /// Bytes were read; `false` when they are too many.
    fn read(&self, bytes: usize) -> bool {
        let mut inbound = lock(&self.inbound);
        let Some(Inbound { bytes: sum, most, since }) = &mut *inbound else { return true };
        let seconds = since.elapsed().as_secs();
        if seconds > 0 {
            *sum = sum.saturating_sub(seconds * IDLE_BYTES);
            *since = Instant::now();
        }
        *sum += bytes as u64;
        *sum <= *most
    }

    fn wrote(&self, bytes: usize) {
        let written = self.written.fetch_add(bytes as u64, Relaxed) + bytes as u64;
        if written >= self.next_due.load(Relaxed) {
            let mut owed = lock(&self.owed);
            while owed.front().is_some_and(|(at, _)| *at <= written) {
                owed.pop_front();
            }
            self.next_due.store(owed.front().map_or(u64::MAX, |(at, _)| *at), Relaxed);
        }
        self.progress.notify_waiters();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    #[tokio::test]
    async fn a_share_is_kept_until_its_bytes_are_written_or_the_connection_ends() {
        let budget = Budget::new(100);
        let wire = Wire::default();
        for at in [10, 20, 30] {
            wire.owe(at, budget.take(10).await);
        }
        wire.wrote(25);
        assert_eq!(budget.used(), 10);
        wire.owe(20, budget.take(10).await);
        assert_eq!(budget.used(), 10, "these are written already");
        wire.close();
        wire.owe(90, budget.take(10).await);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_is_sent_without_a_message_that_is_handled_is_bounded() {
        let wire = Wire::default();
        assert!(wire.read(1 << 30), "it is not a WebSocket");
        wire.limit(100);
        assert!(wire.read(100));
        wire.handled();
        assert!(wire.read(100));
        assert!(!wire.read(1));
    }
}
