//! The connected users, and how outcomes reach them: at once, or from the log.

mod reading;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use socketioxide::{
    extract::SocketRef,
    socket::{DisconnectReason, Sid},
};
use tokio_util::sync::CancellationToken;

use super::{budgets::All, member::Position, pages::Pages, response::Told, transport::Transport, user::User};
use crate::{
    queue::{
        log::{Mark, Message, OutcomeLog, Place, Seq},
        worker::Process,
    },
    tasks::Tasks,
};

/// How often we check what counts as heard by now.
const MARK_EVERY: Duration = Duration::from_millis(500);

/// How long the last marks may take.
const END: Duration = Duration::from_secs(1);

/// The most marks sent to the log in one step.
const MARKS: usize = 1000;

/// The connected users, by id.
pub(super) struct Hub {
    users: Mutex<HashMap<Arc<str>, Shared>>,
    /// Users with outcomes that do not count as heard yet.
    watched: Mutex<Vec<Shared>>,
    marks: Mutex<Vec<Mark>>,
    /// Held while marks are sent to the log.
    marking: tokio::sync::Mutex<()>,
    log: Arc<dyn OutcomeLog>,
    pages: Pages,
    budgets: All,
    tasks: Tasks,
    end: CancellationToken,
}

type Shared = Arc<Mutex<User>>;

impl Hub {
    /// A hub for the outcomes in `log`; `budgets` says what may wait for sockets.
    pub(super) fn new(log: Arc<dyn OutcomeLog>, budgets: All, process: &Process) -> Arc<Self> {
        let (users, watched, marks, marking) = Default::default();
        let pages = Pages::new(Arc::clone(&log));
        let tasks = process.tasks.clone();
        let end = process.end.clone();
        Arc::new(Self { users, watched, marks, marking, log, pages, budgets, tasks, end })
    }

    /// A socket of `user` says what it heard last; it is sent everything after that, from every queue.
    pub(super) fn resume(
        self: &Arc<Self>,
        socket: SocketRef,
        transport: Arc<Transport>,
        user: &str,
        from: Position,
    ) {
        let sid = socket.id;
        let user = self.enter(user, |user| user.resume(socket, transport, from)).0;
        self.read_for(&user, sid);
    }

    /// A socket joins the room of `user` for `queue`, and is sent what nobody has heard there.
    pub(super) fn join(
        self: &Arc<Self>,
        socket: &SocketRef,
        transport: &Arc<Transport>,
        user: &str,
        queue: &str,
    ) {
        let (user, read) = self.enter(user, |user| user.join(socket, transport, queue));
        if read {
            self.read_for(&user, socket.id);
        }
    }

    /// An outcome of `user` is now in the log.
    pub(super) fn logged(self: &Arc<Self>, user: &str, place: &Place, told: &Told<'_>) {
        let Some(user) = self.user(user) else { return };
        let readers = self.with(&user, |user| user.logged(place, told));
        for sid in readers {
            self.read_for(&user, sid);
        }
    }

    /// The log of `user` has grown by something that is not known here.
    pub(super) fn grown(self: &Arc<Self>, user: &str) {
        let Some(user) = self.user(user) else { return };
        let readers = lock(&user).grown();
        for sid in readers {
            self.read_for(&user, sid);
        }
    }

    /// An outcome of `user` is not in the log yet, but should have been by now.
    pub(super) fn late(&self, user: &str, told: &Told<'_>) {
        if let Some(user) = self.user(user) {
            lock(&user).late(told);
        }
    }

    /// A socket's client has everything it was sent up to `seq`.
    pub(super) fn acknowledge(&self, user: &str, sid: Sid, seq: Seq) {
        if let Some(user) = self.user(user) {
            let mut user = lock(&user);
            lock(&self.marks).extend(user.acknowledge(sid, seq));
        }
    }

    /// A socket of `user` has left.
    pub(super) fn leave(self: &Arc<Self>, user: &str, sid: Sid, reason: DisconnectReason) {
        let mut users = lock(&self.users);
        let Some(shared) = users.get(user).map(Arc::clone) else { return };
        let mut left = lock(&shared);
        let (marks, readers) = left.left(sid, reason);
        // While the user is locked, so that marks for one outcome stay in order.
        lock(&self.marks).extend(marks);
        if left.is_empty() {
            users.remove(user);
        }
        drop((left, users));
        for sid in readers {
            self.read_for(&shared, sid);
        }
    }

    /// Another process has found that an outcome of `queue` was not heard.
    pub(super) fn unheard(self: &Arc<Self>, user: &str, queue: &str) {
        let Some(user) = self.user(user) else { return };
        let readers = lock(&user).unheard(queue);
        for sid in readers {
            self.read_for(&user, sid);
        }
    }

    /// Any log may have grown.
    pub(super) fn missed(self: &Arc<Self>) {
        let all: Vec<_> = lock(&self.users).values().map(Arc::clone).collect();
        for user in &all {
            let readers = lock(user).missed();
            for sid in readers {
                self.read_for(user, sid);
            }
        }
    }

    /// What may wait for all sockets.
    pub(super) fn budgets(&self) -> &All {
        &self.budgets
    }

    /// Passes a message on to the other processes.
    pub(super) async fn pass(&self, message: &Message) {
        if let Err(error) = self.log.pass(message).await {
            tracing::warn!(room = message.room, %error, "a Profile did not reach the other nodes");
        }
    }

    /// Tells the log, at intervals, what was heard.
    pub(super) async fn mark(self: Arc<Self>) {
        let mut tick = tokio::time::interval(MARK_EVERY);
        loop {
            tick.tick().await;
            let watched = std::mem::take(&mut *lock(&self.watched));
            for user in watched {
                lock(&user).watched = false;
                self.with(&user, |user| lock(&self.marks).extend(user.settle()));
            }
            self.flush().await;
        }
    }

    /// Tells the log for the last time what was heard, if the log answers.
    pub(super) async fn end(&self) {
        if tokio::time::timeout(END, self.flush()).await.is_err() {
            tracing::warn!("some outcomes may be sent again: the log could not be told that they were heard");
        }
    }

    /// Tells the log what was heard so far; after an error, the next call tries again.
    async fn flush(&self) {
        let _marking = self.marking.lock().await;
        let mut marks = std::mem::take(&mut *lock(&self.marks));
        while !marks.is_empty() {
            let some = marks.len().min(MARKS);
            if let Err(error) = self.log.mark(&marks[..some]).await {
                tracing::debug!(%error, "cannot tell the log what was heard, trying again");
                lock(&self.marks).splice(0..0, marks);
                return;
            }
            marks.drain(..some);
        }
    }

    fn user(&self, user: &str) -> Option<Shared> {
        lock(&self.users).get(user).map(Arc::clone)
    }

    /// Runs `enter` on a user, who is added first if not there yet.
    fn enter<T>(&self, user: &str, enter: impl FnOnce(&mut User) -> T) -> (Shared, T) {
        let mut users = lock(&self.users);
        let id: Arc<str> = user.into();
        let user = users
            .entry(Arc::clone(&id))
            .or_insert_with(|| Arc::new(Mutex::new(User::new(id, self.budgets.user()))));
        // Still under the lock, so that nobody removes the user before the socket is in.
        let done = enter(&mut lock(user));
        (Arc::clone(user), done)
    }

    /// Runs `act`, which may send something to the user.
    fn with<T>(&self, shared: &Shared, act: impl FnOnce(&mut User) -> T) -> T {
        let mut user = lock(shared);
        let done = act(&mut user);
        if user.is_pending() && !std::mem::replace(&mut user.watched, true) {
            lock(&self.watched).push(Arc::clone(shared));
        }
        done
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
