//! Writes the log to standard error from a thread of its own: whoever logs never waits, and never fails.
//!
//! A reader that has gone away costs its lines, and one that stalls costs those that find no more room. `eprintln!` would
//! panic at the one, and stop the whole service at the other.

use std::{
    io::{self, stderr},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;
use rustix::io::Errno;

/// Lines that were not written, because the reader had gone away or was too slow.
pub(crate) static DROPPED: LazyLock<Counter> = LazyLock::new(Counter::default);

/// The most bytes that wait to be written.
const MOST: usize = 1 << 20;

/// What a waiting line costs beside its text, in bytes.
const EACH: usize = 64;

/// How long the last lines may take to be written, at the very end.
const LAST: Duration = Duration::from_secs(1);

/// How long a standard error that cannot take more just now, and does not block, is left alone.
const PAUSE: Duration = Duration::from_millis(10);

/// The log's way to standard error; clones share it.
#[derive(Clone)]
pub(crate) struct Writer {
    lines: mpsc::Sender<Line>,
    /// Bytes that wait to be written.
    waiting: Arc<AtomicUsize>,
}

enum Line {
    Text(Box<[u8]>),
    /// Everything before this has been written.
    Flush(SyncSender<()>),
}

impl Writer {
    /// Starts the thread that writes; it ends when the last clone is dropped.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub(crate) fn start() -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let writer = Self { lines: sender, waiting: Arc::clone(&waiting) };
        thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&receiver, &waiting))?;
        Ok(writer)
    }

    /// Queues `text` to be written; drops and counts it when too much waits already.
    pub(crate) fn say(&self, text: &[u8]) {
        let size = text.len() + EACH;
        let fits = |waiting: usize| waiting.checked_add(size).filter(|all| *all <= MOST);
        let queued = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
            && self.lines.send(Line::Text(text.into())).is_ok();
        if !queued {
            DROPPED.inc();
        }
    }

    /// Waits, for a second at the most, until everything so far is written.
    pub(crate) fn flush(&self) {
        let (written, all) = mpsc::sync_channel(1);
        if self.lines.send(Line::Flush(written)).is_ok() {
            all.recv_timeout(LAST).ok();
        }
    }
}

impl io::Write for Writer {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.say(text);
        Ok(text.len())
    }

    /// Nothing to do: each line is on its way at once.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(lines: &Receiver<Line>, waiting: &AtomicUsize) {
    let mut told = 0;
    for line in lines {
        match line {
            Line::Text(text) => {
                let written = write(&text);
                waiting.fetch_sub(text.len() + EACH, Ordering::Relaxed);
                if written.is_err() {
                    DROPPED.inc();
                } else if DROPPED.get() > told && waiting.load(Ordering::Relaxed) < MOST / 2 {
                    let lines = DROPPED.get() - told;
                    told += lines;
                    tracing::warn!(lines, "the reader of the log was away or too slow: lines were dropped");
                }
            }
            Line::Flush(written) => drop(written.try_send(())),
        }
    }
}

/// Writes without the lock of `std`'s standard error: a panic elsewhere must not wait for a reader that has stalled.
fn write(mut text: &[u8]) -> rustix::io::Result<()> {
    while !text.is_empty() {
        match rustix::io::write(stderr(), text) {
            Ok(written) => text = text.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
