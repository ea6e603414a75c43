//! One socket of a user: which rooms it is in, and how much of the user's log it has been sent.

use std::{collections::VecDeque, sync::Arc};

use serde::Serialize;
use socketioxide::{SendError, SocketError, extract::SocketRef};

use super::{
    budgets::All,
    packet::Packet,
    response::{PROFILE_LOGGED, Told},
    transport::Transport,
};
use crate::{
    queue::log::{Page, Place, Seq, Which},
    wire::large::{EVENT, reference},
};

/// A place in one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    /// Which log.
    pub epoch: Arc<str>,
    /// The last place that was sent.
    pub seq: Seq,
}

/// A socket that hears a user's outcomes.
pub(super) struct Member {
    pub socket: SocketRef,
    pub transport: Arc<Transport>,
    /// The queues whose rooms it is in; `None` when it hears all, because it has said what it heard last.
    rooms: Option<Vec<String>>,
    /// Rooms it has joined where it has not yet been sent what nobody has heard.
    joined: VecDeque<String>,
    /// The last place sent from the first of these rooms.
    unheard: Seq,
    /// How far it has been sent the log; `None` until the log has been read.
    at: Option<Position>,
    /// `at` is what the client claims, and may be from a log that is gone.
    unproven: bool,
    /// The log is being read for it: outcomes that come meanwhile are sent by that reading.
    pub reading: bool,
    /// The log may have grown since it was last read.
    pub news: bool,
}

/// What to do for a socket when an outcome comes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Send the outcome to it.
    Tell,
    /// Nothing: it has the outcome, will read it, or is not in the room.
    Nothing,
    /// Read the log: something before the outcome was missed.
    Read,
}

/// How an emit ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Yes,
    /// Too much is waiting for this socket.
    Full,
    /// Too much is waiting for all sockets: there is no room for so many bytes.
    Waits(usize),
    /// The socket is gone.
    Gone,
}

/// A part of the log to be read for a socket.
pub(super) enum Part {
    /// What nobody has heard in a room that it joined.
    Unheard { queue: String, after: Seq, to: Option<Seq> },
    /// What came after what it was sent.
    After(Seq),
}

impl Part {
    pub(super) fn which(&self) -> Which<'_> {
        match self {
            Self::Unheard { queue, after, to } => Which::Unheard { queue, after: *after, to: *to },
            Self::After(seq) => Which::After(*seq),
        }
    }
}

/// Tells a client that outcomes may be missing: it should fetch its state anew, and go on from here.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Resync<'a> {
    epoch: &'a str,
    seq: Seq,
}

const RESYNC_REQUIRED: &str = "resync_required";

impl Member {
    /// A socket that is in no room yet. `resumes` is what it says it heard last; if given, the log must be read for it.
    pub(super) fn new(socket: SocketRef, transport: Arc<Transport>, resumes: Option<Position>) -> Self {
        let to_read = resumes.is_some();
        Self {
            socket,
            transport,
            rooms: (!to_read).then(Vec::new),
            joined: VecDeque::new(),
            unheard: 0,
            at: resumes,
            unproven: to_read,
            reading: to_read,
            news: to_read,
        }
    }

    /// Puts it into the room of `queue`.
    pub(super) fn join(&mut self, queue: &str) {
        if let Some(rooms) = self.rooms.as_mut().filter(|rooms| !rooms.iter().any(|room| room == queue)) {
            rooms.push(queue.to_owned());
        }
        if !self.joined.iter().any(|room| room == queue) {
            self.joined.push_back(queue.to_owned());
        }
        self.news = true;
    }

    /// It must be sent what nobody has heard in all its rooms.
    pub(super) fn rejoin(&mut self) {
        for room in self.rooms.clone().unwrap_or_default() {
            self.join(&room);
        }
    }

    pub(super) fn hears(&self, queue: &str) -> bool {
        self.rooms.as_ref().is_none_or(|rooms| rooms.iter().any(|room| room == queue))
    }

    /// What to do with the outcome that was put at `place`.
    pub(super) fn next(&mut self, queue: &str, place: &Place) -> Next {
        if self.reading {
            self.news = true;
            return Next::Nothing;
        }
        let Some(at) = &mut self.at else { return Next::Read };
        // A log that starts over follows on from whatever was there before.
        let follows = if at.epoch == place.epoch { at.seq == place.before } else { place.before == 0 };
        if at.epoch == place.epoch && place.seq <= at.seq {
            return Next::Nothing;
        }
        if !follows {
            return Next::Read;
        }
        if self.hears(queue) {
            return Next::Tell;
        }
        self.told(&place.epoch, place.seq);
        Next::Nothing
    }

    /// Notes that it was sent everything up to a place.
    pub(super) fn told(&mut self, epoch: &Arc<str>, seq: Seq) {
        self.at = Some(Position { epoch: Arc::clone(epoch), seq });
    }

    /// The part of the log to read next; `None` when it has been sent everything.
    pub(super) fn part(&mut self) -> Option<Part> {
        if let Some(queue) = self.joined.front() {
            let to = self.at.as_ref().map(|at| at.seq);
            return Some(Part::Unheard { queue: queue.clone(), after: self.unheard, to });
        }
        if !std::mem::take(&mut self.news) {
            return None;
        }
        self.at.as_ref().map(|at| Part::After(at.seq))
    }

    /// Whether to send the outcomes of a page; if not, the client is told that it must resync.
    pub(super) fn accepts(&mut self, part: &Part, page: &Page) -> Result<bool, Sent> {
        let (Part::After(_), Some(at)) = (part, &self.at) else { return Ok(true) };
        let epoch: Arc<str> = page.epoch.as_str().into();
        let unknown = self.unproven && (at.epoch != epoch || at.seq > page.last);
        let cut = page.floor > at.seq;
        if unknown || cut {
            self.emit(RESYNC_REQUIRED, &Resync { epoch: &epoch, seq: page.last })?;
        }
        self.unproven = false;
        // A client that says what it heard last gets all or nothing; the others get what is there.
        if unknown || (cut && self.rooms.is_none()) {
            self.told(&epoch, page.last);
            return Ok(false);
        }
        Ok(true)
    }

    /// Notes that a page was sent up to a place, and no further: there is no room.
    pub(super) fn stopped(&mut self, part: &Part, seq: Option<Seq>) {
        self.news = true;
        if let (Part::Unheard { .. }, Some(seq)) = (part, seq) {
            self.unheard = seq;
        }
    }

    /// Notes that a page was sent to its end.
    pub(super) fn read(&mut self, part: &Part, page: &Page) {
        let epoch: Arc<str> = page.epoch.as_str().into();
        let end = page.entries.last().map(|entry| entry.seq);
        match part {
            Part::Unheard { .. } => {
                if self.at.is_none() {
                    self.told(&epoch, page.last);
                }
                self.unheard = end.unwrap_or(self.unheard);
                if !page.more || end.is_none() {
                    (self.unheard, self.news) = (0, true);
                    self.joined.pop_front();
                    self.joined.shrink_to_fit();
                }
            }
            Part::After(_) => {
                self.told(&epoch, end.filter(|_| page.more).unwrap_or(page.last));
                self.news |= page.more;
            }
        }
    }

    /// Emits an outcome; returns the mark of its bytes.
    pub(super) fn send(&self, packet: &Packet, budgets: &All) -> Result<u64, Sent> {
        if !self.transport.has_room(packet.bytes()) {
            return Err(Sent::Full);
        }
        send(&self.socket, &self.transport, packet, budgets)
    }

    /// Emits the place of an outcome that was sent before it had one.
    pub(super) fn send_place(&self, told: &Told<'_>, epoch: &str, seq: Seq) -> Sent {
        self.emit(PROFILE_LOGGED, &told.place(epoch, seq)).err().unwrap_or(Sent::Yes)
    }

    fn emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<(), Sent> {
        emit(&self.socket, event, data)
    }
}

/// Emits a `Profile_Response` to a socket, whose bytes travel by `transport`; returns the mark of its bytes.
pub(super) fn send(
    socket: &SocketRef,
    transport: &Transport,
    packet: &Packet,
    budgets: &All,
) -> Result<u64, Sent> {
    let bytes = packet.bytes();
    match packet {
        Packet::Small(response) => {
            // Where nothing waits it goes at once: sockets that take nothing cannot hold up those that do.
            let share = match budgets.try_take_small(bytes) {
                None if !transport.is_idle() => return Err(Sent::Waits(bytes)),
                share => share,
            };
            let mark = transport.send(bytes);
            emit(socket, EVENT, response).inspect_err(|_| transport.unsend(bytes, None))?;
            if let Some(share) = share {
                transport.keep(mark, share);
            }
            Ok(mark)
        }
        Packet::Large(message, _) => {
            let mark = transport.send(bytes);
            let number = transport.refer(message.clone());
            let sent = emit(socket, EVENT, &reference(number));
            sent.inspect_err(|_| transport.unsend(bytes, Some(number)))?;
            Ok(mark)
        }
    }
}

fn emit<T: Serialize + ?Sized>(socket: &SocketRef, event: &str, data: &T) -> Result<(), Sent> {
    socket.emit(event, data).map_err(|error| match error {
        SendError::Socket(SocketError::InternalChannelFull) => Sent::Full,
        SendError::Socket(SocketError::Closed) => Sent::Gone,
        SendError::Serialize(error) => {
            tracing::error!(%error, event, "an event cannot be serialised");
            Sent::Yes
        }
    })
}
