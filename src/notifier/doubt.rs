//! What was told lately, and to whom: an outcome counts as heard when a socket that it was told to has stayed.
//!
//! A stock client never says that it has heard something. What is written to a connection that breaks soon after may not
//! have arrived, so it is told again when the room is joined next.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use socketioxide::socket::{DisconnectReason, Sid};

use crate::queue::log::{Mark, Seq};

/// A socket that stays this long after an outcome has heard it, unless it turns out to have been silent since.
pub(super) const SETTLES: Duration = Duration::from_secs(2);

/// A client that takes its leave, as a page does that is left, has heard what was on its way no later than this before.
const LEAVES: Duration = Duration::from_millis(500);

/// A client that is silent is noticed after Engine.IO's ping interval and timeout, 25 s and 20 s.
const SILENCE: Duration = Duration::from_secs(50);

/// So many outcomes of one user are remembered beyond [`SETTLES`].
const REMEMBERED: usize = 1000;

/// What one user was told lately.
#[derive(Default)]
pub(super) struct Doubt {
    told: BTreeMap<Seq, Telling>,
    /// Those that do not count as heard yet, oldest first.
    recent: VecDeque<Seq>,
    /// The names of the queues, each once: they are few, and come with every outcome.
    queues: Vec<Arc<str>>,
}

struct Telling {
    at: Instant,
    queue: Arc<str>,
    to: Vec<Sid>,
    /// The log was told that it was heard.
    marked: bool,
    /// A client has said that it has it.
    sure: bool,
}

impl Telling {
    fn mark(&self, user: &Arc<str>, seq: Seq, heard: bool) -> Mark {
        Mark { user: Arc::clone(user), queue: Arc::clone(&self.queue), seq, heard }
    }
}

impl Doubt {
    /// Notes that `seq` was told to a socket.
    pub(super) fn told(&mut self, seq: Seq, queue: &str, sid: Sid) {
        if let Some(telling) = self.told.get_mut(&seq) {
            telling.to.push(sid);
            // This one may turn out not to have heard it, too.
            telling.at = Instant::now();
            return;
        }
        self.forget();
        let (at, queue, to) = (Instant::now(), self.name(queue), vec![sid]);
        self.told.insert(seq, Telling { at, queue, to, marked: false, sure: false });
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

    /// Whether somebody who is connected was told an outcome that the log has for unheard. If the log was told otherwise, it
    /// was another node's socket that has not heard it, and the log is to be told again.
    pub(super) fn has_unheard(&mut self, seq: Seq) -> bool {
        let Some(telling) = self.told.get_mut(&seq) else { return false };
        if std::mem::replace(&mut telling.marked, false) {
            self.recent.push_back(seq);
        }
        true
    }

    /// Whether something does not count as heard yet.
    pub(super) fn is_pending(&self) -> bool {
        !self.recent.is_empty()
    }

    /// What counts as heard from now on.
    pub(super) fn settle(&mut self, user: &Arc<str>) -> Vec<Mark> {
        let mut marks = Vec::new();
        while let Some(seq) = self.recent.front() {
            if let Some(telling) = self.told.get_mut(seq) {
                if telling.at.elapsed() < SETTLES {
                    break;
                }
                if !std::mem::replace(&mut telling.marked, true) {
                    marks.push(telling.mark(user, *seq, true));
                }
            }
            self.recent.pop_front();
        }
        marks
    }

    /// The client of a socket says that it has all that it was told up to `seq`.
    pub(super) fn acknowledge(&mut self, user: &Arc<str>, sid: Sid, seq: Seq) -> Vec<Mark> {
        let mut marks = Vec::new();
        for (seq, telling) in self.told.range_mut(..=seq).filter(|(_, telling)| telling.to.contains(&sid)) {
            telling.sure = true;
            if !std::mem::replace(&mut telling.marked, true) {
                marks.push(telling.mark(user, *seq, true));
            }
        }
        marks
    }

    /// A socket has left: what it was told shortly before, and nobody else, was not heard. Gives the queues of that, and
    /// what the log is to be told.
    pub(super) fn left(
        &mut self,
        user: &Arc<str>,
        sid: Sid,
        reason: DisconnectReason,
    ) -> (Vec<Arc<str>>, Vec<Mark>) {
        let doubtful = match reason {
            DisconnectReason::ClientNSDisconnect => Duration::ZERO,
            DisconnectReason::TransportClose => LEAVES,
            DisconnectReason::HeartbeatTimeout => SILENCE,
            _ => SETTLES,
        };
        let (mut unheard, mut marks) = (Vec::new(), Vec::new());
        self.told.retain(|seq, telling| {
            if telling.sure || telling.at.elapsed() >= doubtful || !telling.to.contains(&sid) {
                return true;
            }
            telling.to.retain(|other| *other != sid);
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

    /// Nobody is there any more: what is not in doubt counts as heard.
    pub(super) fn end(&mut self, user: &Arc<str>) -> Vec<Mark> {
        let told = std::mem::take(&mut self.told);
        told.into_iter()
            .filter(|(_, telling)| !telling.marked)
            .map(|(seq, t)| t.mark(user, seq, true))
            .collect()
    }

    /// Forgets what is certain by now.
    fn forget(&mut self) {
        let many = self.told.len() > REMEMBERED;
        while let Some(first) = self.told.first_entry()
            && first.get().marked
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

    #[test]
    fn what_was_heard_here_and_not_on_another_node_is_noted_again() {
        let (user, sid, mut doubt) = (Arc::from("ada"), Sid::new(), Doubt::default());
        for seq in [7, 8] {
            doubt.told(seq, "Create_Character", sid);
        }
        let heard = |marks: Vec<Mark>| marks.iter().map(|mark| (mark.seq, mark.heard)).collect::<Vec<_>>();
        assert_eq!(heard(doubt.acknowledge(&user, sid, 8)), [(7, true), (8, true)]);
        // The log is read, and has one for unheard.
        assert!(doubt.has_unheard(8) && !doubt.has_unheard(9));
        assert!(doubt.is_pending());
        assert_eq!(heard(doubt.end(&user)), [(8, true)]);
    }
}
