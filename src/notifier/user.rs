//! All of one user's sockets in this process, and what was sent to them.

use std::sync::Arc;

use socketioxide::{
    extract::SocketRef,
    socket::{DisconnectReason, Sid},
};

use super::{
    budgets::Budgets,
    doubt::{Doubt, Gone},
    early::Early,
    member::{Member, Next, Part, Position, Sent},
    packet::Packet,
    pages::{Fresh, Read},
    response::Told,
    transport::Transport,
};
use crate::queue::log::{Mark, Page, Place, Seq};

/// The sockets of one user.
pub(super) struct User {
    pub id: Arc<str>,
    /// The hub will look at it again, because something does not count as heard yet.
    pub watched: bool,
    members: Vec<Member>,
    doubt: Doubt,
    /// What was sent before it was in the log.
    early: Early,
    /// What its sockets may have waiting.
    budgets: Budgets,
    /// The page of the log that was read last, for sockets that need the same one.
    pub fresh: Fresh,
}

impl User {
    pub(super) fn new(id: Arc<str>, budgets: Budgets) -> Self {
        // Most have one socket, and a growing vector would start with room for four.
        let members = Vec::with_capacity(1);
        let doubt = Doubt::default();
        Self { id, watched: false, members, doubt, early: Early::default(), budgets, fresh: Fresh::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn is_pending(&self) -> bool {
        self.doubt.is_pending()
    }

    /// A socket says what it heard last: the log must be read for it.
    pub(super) fn resume(&mut self, socket: SocketRef, transport: Arc<Transport>, from: Position) {
        self.members.push(Member::new(socket, transport, Some(from)));
    }

    /// A socket joins the room of `queue`; `true` if the log must be read for it.
    pub(super) fn join(&mut self, socket: &SocketRef, transport: &Arc<Transport>, queue: &str) -> bool {
        let found = self.members.iter().position(|member| member.socket.id == socket.id);
        let at = found.unwrap_or_else(|| {
            self.members.push(Member::new(socket.clone(), Arc::clone(transport), None));
            self.members.len() - 1
        });
        self.members[at].join(queue);
        !std::mem::replace(&mut self.members[at].reading, true)
    }

    /// An outcome was appended to the log: sends it, and returns the sockets for which the log must be read.
    pub(super) fn logged(&mut self, place: &Place, told: &Told<'_>) -> Vec<Sid> {
        self.fresh.spoil();
        // Written when somebody is to be sent it. What cannot be written, or has no room now, is read from the log.
        let mut packet = None;
        let mut readers = Vec::new();
        for at in 0..self.members.len() {
            let member = &mut self.members[at];
            let read = match member.next(told.queue, place) {
                Next::Nothing => false,
                Next::Read => true,
                Next::Tell => {
                    let write = || {
                        let response = told.response(Some((&place.epoch, place.seq))).ok()?;
                        self.budgets.packet(response)
                    };
                    match packet.get_or_insert_with(write).clone() {
                        None => true,
                        Some(packet) => {
                            let sent = self.tell(at, &place.epoch, place.seq, told, Some(&packet));
                            matches!(sent, Err(Sent::Full | Sent::Waits(_)))
                        }
                    }
                }
            };
            if read {
                let member = &mut self.members[at];
                (member.reading, member.news) = (true, true);
                readers.push(member.socket.id);
            }
        }
        readers
    }

    /// The log may have changed in unknown ways; returns the sockets for which it must be read.
    pub(super) fn missed(&mut self) -> Vec<Sid> {
        self.members.iter_mut().for_each(Member::rejoin);
        self.grown()
    }

    /// The log has grown; returns the sockets for which it must be read.
    pub(super) fn grown(&mut self) -> Vec<Sid> {
        self.fresh.spoil();
        let news = |member: &mut Member| {
            member.news = true;
            (!std::mem::replace(&mut member.reading, true)).then_some(member.socket.id)
        };
        self.members.iter_mut().filter_map(news).collect()
    }

    /// Sends an outcome that is not in the log yet, and remembers to whom.
    pub(super) fn late(&mut self, told: &Told<'_>) {
        let response = told.response(None).ok();
        let Some(packet) = response.and_then(|response| self.budgets.packet(response)) else { return };
        let sent_to = self.early.send(told);
        for member in &self.members {
            let sid = member.socket.id;
            let wants = !member.reading && member.hears(told.queue) && !sent_to.contains(&sid);
            if wants && member.send(&packet, self.budgets.all()).is_ok() {
                sent_to.push(sid);
            }
        }
    }

    /// The part of the log to read next for a socket; `None` when there is none, or the socket is gone.
    pub(super) fn part(&mut self, sid: Sid) -> Option<Part> {
        let member = self.member(sid)?;
        let part = member.part();
        member.reading = part.is_some();
        part
    }

    /// The log could not be read for a socket, and must be read again.
    pub(super) fn again(&mut self, sid: Sid) {
        if let Some(member) = self.member(sid) {
            member.news = true;
        }
    }

    pub(super) fn is_connected(&self, sid: Sid) -> bool {
        self.members.iter().any(|member| member.socket.id == sid && member.socket.connected())
    }

    /// The transport of a socket, unless it is gone.
    pub(super) fn transport(&self, sid: Sid) -> Option<Arc<Transport>> {
        let member = self.members.iter().find(|member| member.socket.id == sid)?;
        Some(Arc::clone(&member.transport))
    }

    /// What its sockets may have waiting.
    pub(super) fn budgets(&self) -> Budgets {
        self.budgets.clone()
    }

    /// Notes that a page was sent to a socket up to a place, and no further.
    pub(super) fn stopped(&mut self, sid: Sid, part: &Part, seq: Option<Seq>) {
        if let Some(member) = self.member(sid) {
            member.stopped(part, seq);
        }
    }

    /// Whether to send the outcomes of a page to a socket.
    pub(super) fn accepts(&mut self, sid: Sid, part: &Part, page: &Page) -> Result<bool, Sent> {
        self.member(sid).map_or(Err(Sent::Gone), |member| member.accepts(part, page))
    }

    /// Sends a socket an outcome from the log, unless it has it.
    pub(super) fn replay(&mut self, sid: Sid, part: &Part, read: &Read, n: usize) -> Result<(), Sent> {
        let at = self.members.iter().position(|member| member.socket.id == sid).ok_or(Sent::Gone)?;
        let Some(entry) = read.page.entries.get(n) else { return Ok(()) };
        let seq = entry.seq;
        let told = Told { queue: &entry.queue, job: &entry.job, profile: &entry.profile };
        let has = match part {
            Part::Unheard { .. } => self.doubt.has_unheard(seq, &left(&self.members)),
            Part::After(_) => !self.members[at].hears(told.queue),
        };
        if has {
            return Ok(());
        }
        let packet = read.packet(n);
        match part {
            Part::After(_) => self.tell(at, &read.epoch, seq, &told, packet.as_deref()),
            Part::Unheard { .. } => self.send(at, &read.epoch, seq, &told, packet.as_deref()),
        }
    }

    /// Notes that a page was sent to a socket to its end.
    pub(super) fn read(&mut self, sid: Sid, part: &Part, page: &Page) {
        if let Some(member) = self.member(sid) {
            member.read(part, page);
        }
    }

    /// A socket's client has everything it was sent up to `seq`.
    pub(super) fn acknowledge(&mut self, sid: Sid, seq: Seq) -> Vec<Mark> {
        self.doubt.acknowledge(&self.id, sid, seq)
    }

    /// A socket has left; returns the marks for the log, and the sockets for which it must be read: they were not sent
    /// what this one turned out not to have heard.
    pub(super) fn left(&mut self, sid: Sid, reason: DisconnectReason) -> (Vec<Mark>, Vec<Sid>) {
        let Some(at) = self.members.iter().position(|member| member.socket.id == sid) else {
            return (Vec::new(), Vec::new());
        };
        let transport = self.members.remove(at).transport;
        let gone = Gone { sid, reason, left: transport.left(), stalled: transport.is_stalled() };
        let (unheard, mut marks) = self.doubt.left(&self.id, &gone);
        if self.members.is_empty() {
            marks.extend(self.doubt.end(&self.id));
        }
        let readers = unheard.iter().flat_map(|queue| self.unheard(queue)).collect();
        (marks, readers)
    }

    /// Something from `queue` was not heard after all; returns the sockets for which the log must be read.
    pub(super) fn unheard(&mut self, queue: &str) -> Vec<Sid> {
        let read = |member: &mut Member| {
            member.join(queue);
            (!std::mem::replace(&mut member.reading, true)).then_some(member.socket.id)
        };
        self.members.iter_mut().filter(|member| member.hears(queue)).filter_map(read).collect()
    }

    /// What counts as heard from now on.
    pub(super) fn settle(&mut self) -> Vec<Mark> {
        self.doubt.settle(&self.id, &left(&self.members))
    }

    fn member(&mut self, sid: Sid) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.socket.id == sid)
    }

    /// Sends the next outcome in the log to a socket.
    fn tell(
        &mut self,
        at: usize,
        epoch: &Arc<str>,
        seq: Seq,
        told: &Told<'_>,
        packet: Option<&Packet>,
    ) -> Result<(), Sent> {
        self.send(at, epoch, seq, told, packet)?;
        self.members[at].told(epoch, seq);
        Ok(())
    }

    fn send(
        &mut self,
        at: usize,
        epoch: &str,
        seq: Seq,
        told: &Told<'_>,
        packet: Option<&Packet>,
    ) -> Result<(), Sent> {
        let member = &self.members[at];
        let sid = member.socket.id;
        let early = self.early.was_sent(told, sid);
        let mark = match packet {
            Some(_) if early => match member.send_place(told, epoch, seq) {
                Sent::Yes => member.transport.sent(),
                other => return Err(other),
            },
            Some(packet) => member.send(packet, self.budgets.all())?,
            None => 0,
        };
        self.doubt.told(seq, told.queue, sid, mark);
        Ok(())
    }
}

/// How much has left for a socket among `members`.
fn left(members: &[Member]) -> impl Fn(Sid) -> Option<u64> {
    move |sid| members.iter().find(|member| member.socket.id == sid).map(|member| member.transport.left())
}
