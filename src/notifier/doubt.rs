//! What was sent lately, and to whom: an outcome counts as heard once it has left for a socket that then stayed connected.
//!
//! A stock client never acknowledges anything. What is written to a connection that breaks soon afterwards may not have
//! arrived, so it is sent again the next time the room is joined; and what still waits when the connection ends was not heard,
//! however long it has waited.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use socketioxide::socket::{DisconnectReason, Sid};

use crate::queue::log::{Mark, Seq};

/// A socket that stays this long after an outcome has heard it, unless it turns out to have been silent since.
pub(super) const SETTLES: Duration = Duration::from_secs(2);

/// A client that disconnects properly, as a page does when it is closed, has heard everything sent at least this long
/// before.
const LEAVES: Duration = Duration::from_millis(500);

/// A silent client is detected after Engine.IO's ping interval and timeout, 25 s and 20 s.
const SILENCE: Duration = Duration::from_secs(50);

/// How many of one user's outcomes are remembered beyond [`SETTLES`].
const REMEMBERED: usize = 1000;

/// A socket that has left.
pub(super) struct Gone {
    /// Which.
    pub sid: Sid,
    /// Why.
    pub reason: DisconnectReason,
    /// How much of what was sent to it had left.
    pub left: u64,
    /// Whether it had taken nothing for a long time.
    pub stalled: bool,
}

/// What was sent to one user lately.
#[derive(Default)]
pub(super) struct Doubt {
    told: BTreeMap<Seq, Telling>,
    /// Outcomes that do not count as heard yet, oldest first.
    recent: VecDeque<Seq>,
    /// Each queue's name, once: there are few, and every outcome carries one.
    queues: Vec<Arc<str>>,
}

struct Telling {
    at: Instant,
    queue: Arc<str>,
    /// The sockets, and how much must have left for each until this has.
    to: Vec<(Sid, u64)>,
    /// The log has been told that it was heard.
    marked: bool,
    /// But it holds it as unheard, and must be told again.
    again: bool,
    /// A client has acknowledged it, or has heard it and left.
    sure: bool,
}

impl Telling {
    /// Whether the log must be told that it was heard; from now on it has been.
    fn marks(&mut self) -> bool {
        std::mem::take(&mut self.again) | !std::mem::replace(&mut self.marked, true)
    }

    fn is_to(&self, sid: Sid) -> bool {
        self.to.iter().any(|(to, _)| *to == sid)
    }

    /// Whether it has left for one of its sockets, when `left` tells how much has left for each.
    fn has_left(&self, left: &impl Fn(Sid) -> Option<u64>) -> bool {
        self.sure || self.to.iter().any(|(sid, mark)| left(*sid).is_some_and(|left| left >= *mark))
    }

    fn mark(&self, user: &Arc<str>, seq: Seq, heard: bool) -> Mark {
        Mark { user: Arc::clone(user), queue: Arc::clone(&self.queue), seq, heard }
    }
}

impl Doubt {
    /// Notes that `seq` was sent to a socket, and how much must have left for it until this has.
    pub(super) fn told(&mut self, seq: Seq, queue: &str, sid: Sid, mark: u64) {
        if let Some(telling) = self.told.get_mut(&seq) {
            telling.to.push((sid, mark));
            // This socket, too, may turn out not to have heard it.
            telling.at = Instant::now();
            return;
        }
        self.forget();
        let queue = self.name(queue);
        let to = vec![(sid, mark)];
        self.told
            .insert(seq, Telling { at: Instant::now(), queue, to, marked: false, again: false, sure: false });
        self.recent.push_back(seq);
    }

    fn name(&mut self, queue: &str) -> Arc<str> {
        if let Some(name) = self.queues.iter().find(|name| ***name == *queue) {
            return Arc::clone(name);
        }
        let name: Arc<str> = queue.into();
        self.queues.push(Arc::clone(&name));
        name
    }

    /// Whether a connected socket was sent an outcome that the log holds as unheard: it has left for that socket, or is about
    /// to. If the log had been told that it was heard, the socket that has not heard it is another node's, and the log must
    /// be told again.
    pub(super) fn has_unheard(&mut self, seq: Seq, left: &impl Fn(Sid) -> Option<u64>) -> bool {
        let Some(telling) = self.told.get_mut(&seq) else { return false };
        if telling.at.elapsed() >= SETTLES && !telling.has_left(left) {
            return false;
        }
        if telling.marked && !std::mem::replace(&mut telling.again, true) {
            self.recent.push_back(seq);
        }
        true
    }

    /// Whether anything does not count as heard yet.
    pub(super) fn is_pending(&self) -> bool {
        !self.recent.is_empty()
    }

    /// What counts as heard from now on, when `left` tells how much has left for each socket.
    pub(super) fn settle(&mut self, user: &Arc<str>, left: &impl Fn(Sid) -> Option<u64>) -> Vec<Mark> {
        let mut marks = Vec::new();
        // Sent long ago, but still on their way.
        let mut slow = Vec::new();
        while let Some(seq) = self.recent.front() {
            if let Some(telling) = self.told.get_mut(seq) {
                if telling.at.elapsed() < SETTLES {
                    break;
                }
                if !telling.has_left(left) {
                    slow.push(*seq);
                    self.recent.pop_front();
                    continue;
                }
                if telling.marks() {
                    marks.push(telling.mark(user, *seq, true));
                }
            }
            self.recent.pop_front();
        }
        slow.into_iter().rev().for_each(|seq| self.recent.push_front(seq));
        marks
    }

    /// A socket's client acknowledges everything it was sent up to `seq`.
    pub(super) fn acknowledge(&mut self, user: &Arc<str>, sid: Sid, seq: Seq) -> Vec<Mark> {
        let mut marks = Vec::new();
        for (seq, telling) in self.told.range_mut(..=seq).filter(|(_, telling)| telling.is_to(sid)) {
            telling.sure = true;
            if telling.marks() {
                marks.push(telling.mark(user, *seq, true));
            }
        }
        marks
    }

    /// A socket has left: what was sent to it alone, shortly before, was not heard, nor what still waited for it. Returns the
    /// queues of those outcomes, and the marks for the log.
    pub(super) fn left(&mut self, user: &Arc<str>, gone: &Gone) -> (Vec<Arc<str>>, Vec<Mark>) {
        let doubtful = match gone.reason {
            _ if gone.stalled => SILENCE,
            DisconnectReason::ClientNSDisconnect => Duration::ZERO,
            DisconnectReason::TransportClose => LEAVES,
            DisconnectReason::HeartbeatTimeout => SILENCE,
            _ => SETTLES,
        };
        let (mut unheard, mut marks) = (Vec::new(), Vec::new());
        self.told.retain(|seq, telling| {
            let Some((_, mark)) = telling.to.iter().find(|(sid, _)| *sid == gone.sid) else { return true };
            if telling.sure || (telling.at.elapsed() >= doubtful && *mark <= gone.left) {
                telling.sure = true;
                return true;
            }
            telling.to.retain(|(sid, _)| *sid != gone.sid);
            if !telling.to.is_empty() {
                return true;
            }
            if telling.marked {
                marks.push(telling.mark(user, *seq, false));
            }
            if !unheard.contains(&telling.queue) {
                unheard.push(Arc::clone(&telling.queue));
            }
            false
        });
        (unheard, marks)
    }

    /// Nobody is connected any more: what is not in doubt counts as heard.
    pub(super) fn end(&mut self, user: &Arc<str>) -> Vec<Mark> {
        let told = std::mem::take(&mut self.told);
        told.into_iter()
            .filter(|(_, telling)| !telling.marked || telling.again)
            .map(|(seq, t)| t.mark(user, seq, true))
            .collect()
    }

    /// Forgets what is certain by now.
    fn forget(&mut self) {
        let many = self.told.len() > REMEMBERED;
        while let Some(first) = self.told.first_entry()
            && first.get().marked
            && !first.get().again
            && (many || first.get().at.elapsed() > SILENCE)
        {
            first.remove();
            if many {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything has left.
    #[expect(clippy::unnecessary_wraps, reason = "a socket may be gone")]
    fn all(_: Sid) -> Option<u64> {
        Some(u64::MAX)
    }

    fn gone(sid: Sid, reason: DisconnectReason, left: u64) -> Gone {
        Gone { sid, reason, left, stalled: false }
    }

    #[test]
    fn what_has_not_left_is_not_heard_however_long_it_waits() {
        let user = Arc::from("ada");
        let sid = Sid::new();
        let mut doubt = Doubt::default();
        for (seq, mark) in [(7, 100), (8, 200)] {
            doubt.told(seq, "Read_Character", sid, mark);
            doubt.told.get_mut(&seq).unwrap().at -= SILENCE;
        }
        let half = |_| Some(150);
        let marks = doubt.settle(&user, &half);
        assert_eq!(marks.iter().map(|mark| mark.seq).collect::<Vec<_>>(), [7]);
        assert!(doubt.is_pending(), "the other one is still on its way");
        assert!(
            doubt.has_unheard(7, &half) && !doubt.has_unheard(8, &half),
            "somebody else should be sent it"
        );
        let (queues, _) = doubt.left(&user, &gone(sid, DisconnectReason::TransportError, 150));
        assert_eq!(queues.len(), 1);
        assert!(doubt.told.contains_key(&7) && !doubt.told.contains_key(&8));
    }

    #[test]
    fn what_a_socket_heard_and_left_is_settled_while_others_of_the_user_stay() {
        let user = Arc::from("ada");
        let sid = Sid::new();
        let mut doubt = Doubt::default();
        for seq in 0..9 {
            doubt.told(seq, "Create_Character", sid, 0);
            doubt.told.get_mut(&seq).unwrap().at -= SETTLES;
        }
        doubt.left(&user, &gone(sid, DisconnectReason::TransportClose, 0));
        let others = |_| None;
        assert!(doubt.has_unheard(7, &others), "it has heard it");
        assert_eq!(doubt.settle(&user, &others).len(), 9);
        assert!(!doubt.is_pending());
    }

    #[test]
    fn what_was_heard_here_and_not_on_another_node_is_noted_again() {
        let (user, sid, mut doubt) = (Arc::from("ada"), Sid::new(), Doubt::default());
        for seq in [7, 8] {
            doubt.told(seq, "Create_Character", sid, 0);
        }
        let heard = |marks: Vec<Mark>| marks.iter().map(|mark| (mark.seq, mark.heard)).collect::<Vec<_>>();
        assert_eq!(heard(doubt.acknowledge(&user, sid, 8)), [(7, true), (8, true)]);
        // The log is read, and still holds one as unheard.
        assert!(doubt.has_unheard(8, &all) && !doubt.has_unheard(9, &all));
        assert!(doubt.is_pending());
        assert_eq!(heard(doubt.end(&user)), [(8, true)]);
    }

    #[test]
    fn what_was_noted_and_not_heard_is_taken_back_also_if_it_was_to_be_noted_again() {
        let (user, sid, mut doubt) = (Arc::from("ada"), Sid::new(), Doubt::default());
        doubt.told(7, "Create_Character", sid, 0);
        doubt.told.get_mut(&7).unwrap().at -= SETTLES;
        assert_eq!(doubt.settle(&user, &all).len(), 1);
        // The log is read before it has this mark.
        assert!(doubt.has_unheard(7, &all));
        let (queues, marks) = doubt.left(&user, &gone(sid, DisconnectReason::HeartbeatTimeout, 0));
        assert_eq!((queues.len(), marks.iter().map(|mark| mark.heard).collect::<Vec<_>>()), (1, vec![false]));
    }
}
