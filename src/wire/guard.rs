//! A TCP stream that ends when its peer takes nothing for too long, sends too much, or its [`Wire`] is closed.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};

use super::{
    Seat, Wire,
    large::{self, Large},
};

/// How many bytes of a large message are written in one turn: the kernel takes megabytes at once, and then thousands of
/// sockets would hold up everybody for seconds.
const AT_A_TIME: usize = 64 << 10;

/// A guarded TCP stream; dropping it closes its [`Wire`].
#[derive(Debug)]
pub(crate) struct Guard {
    stream: TcpStream,
    wire: Arc<Wire>,
    _seat: Seat,
    /// How long the peer may take nothing while something waits for it.
    patience: Duration,
    /// Runs while something waits for the peer.
    stall: Option<Pin<Box<Sleep>>>,
    inserting: Option<Inserting>,
}

/// A large message that is being written in place of its reference.
#[derive(Debug)]
struct Inserting {
    header: Vec<u8>,
    message: Large,
    /// How many bytes of both are written.
    written: usize,
    /// The length of the frame with the reference.
    stands_for: usize,
}

impl Guard {
    /// Guards `stream`, which has a `seat`, and whose peer may take nothing for `patience` while something waits for it.
    pub(crate) fn new(stream: TcpStream, seat: Seat, patience: Duration) -> Self {
        Self { stream, wire: Arc::default(), _seat: seat, patience, stall: None, inserting: None }
    }

    /// What others see of it.
    pub(crate) fn wire(&self) -> &Arc<Wire> {
        &self.wire
    }

    fn check_open(&self) -> io::Result<()> {
        if self.wire.is_closed() { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    fn write(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.wire.writer.register(cx.waker());
        self.check_open()?;
        match write(Pin::new(&mut self.stream), cx) {
            Poll::Ready(result) => {
                if self.stall.take().is_some() {
                    // Reading had waited for this.
                    self.wire.reader.wake();
                }
                if let Ok(bytes) = result {
                    self.wire.wrote(bytes);
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                let end = || Box::pin(sleep_until(Instant::now() + self.patience));
                ready!(self.stall.get_or_insert_with(end).as_mut().poll(cx));
                self.wire.stalled.store(true, Relaxed);
                self.wire.close();
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl Guard {
    /// Writes the next part of a large message; at its end, the frame of its reference counts as written.
    fn insert(&mut self, cx: &mut Context<'_>, mut inserting: Inserting) -> Poll<io::Result<usize>> {
        match self.write(cx, |stream, cx| stream.poll_write(cx, inserting.next())) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(more)) => inserting.written += more,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => {
                self.inserting = Some(inserting);
                return Poll::Pending;
            }
        }
        if inserting.next().is_empty() {
            return Poll::Ready(Ok(inserting.stands_for));
        }
        self.inserting = Some(inserting);
        // Others have their turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The large message whose reference `frames` begin with, or else the frames before the first reference.
    fn next<'f>(&self, frames: &'f [u8]) -> Result<&'f [u8], Option<Inserting>> {
        if !self.wire.has_large.load(Relaxed) {
            return Ok(frames);
        }
        match large::find(frames) {
            // Its frame has a header of two bytes.
            Some(found) if found.start > 2 => Ok(&frames[..found.start - 2]),
            Some(found) => Err(self.wire.referred(found.number).map(|message| Inserting {
                header: message.header(),
                message,
                written: 0,
                stands_for: found.end,
            })),
            None => Ok(frames),
        }
    }
}

impl Inserting {
    /// What is to be written next; empty at the end.
    fn next(&self) -> &[u8] {
        match self.written.checked_sub(self.header.len()) {
            None => &self.header[self.written..],
            Some(written) => {
                let message = self.message.bytes();
                &message[written..message.len().min(written + AT_A_TIME)]
            }
        }
    }
}

impl AsyncRead for Guard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.wire.reader.register(cx.waker());
        self.check_open()?;
        // Who takes nothing is not listened to: every message may have an answer, and that would wait as well.
        if self.stall.is_some() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if self.wire.read(buf.filled().len() - before) {
            return Poll::Ready(Ok(()));
        }
        self.wire.close();
        Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "the client sends more than it may")))
    }
}

impl AsyncWrite for Guard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(inserting) = self.inserting.take() {
            return self.insert(cx, inserting);
        }
        match self.next(buf) {
            Ok(frames) => self.write(cx, |stream, cx| stream.poll_write(cx, frames)),
            Err(Some(inserting)) => self.insert(cx, inserting),
            Err(None) => Poll::Ready(Err(io::Error::other("a reference stands for no message"))),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.inserting.is_some() || self.wire.has_large.load(Relaxed) {
            let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| &**buf);
            return self.poll_write(cx, first);
        }
        self.write(cx, |stream, cx| stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.wire.close();
    }
}
