//! Reads the log for a socket: what it has missed, and what it had no room for.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use socketioxide::socket::{DisconnectReason, Sid};

use super::{Hub, Shared, lock};
use crate::{
    backoff::Backoff,
    notifier::{
        member::{Part, Sent},
        pages::Read,
    },
};

/// A socket is connected at most this long after its client was told that it is.
const CONNECTS: Duration = Duration::from_millis(100);

impl Hub {
    pub(super) fn read_for(self: &Arc<Self>, user: &Shared, sid: Sid) {
        let reading = Arc::clone(self).read(Arc::clone(user), sid);
        let reading = self.end.clone().run_until_cancelled_owned(reading);
        let transport = lock(user).transport(sid);
        // A panic costs this socket its connection, and nobody else anything: its client connects again.
        let panicked = move || {
            if let Some(transport) = transport {
                transport.close();
            }
        };
        self.tasks.spawn_isolated("read outcomes", reading.map(drop), panicked);
    }

    /// Sends a socket what the log has for it, unless the socket is gone.
    async fn read(self: Arc<Self>, user: Shared, sid: Sid) {
        while self.tell(&user, sid).await.is_err() {
            // It has left, perhaps before it was in (then nobody else takes it out), or is about to be connected.
            lock(&user).again(sid);
            tokio::time::sleep(CONNECTS).await;
            if !lock(&user).is_connected(sid) {
                let id = Arc::clone(&lock(&user).id);
                return self.leave(&id, sid, DisconnectReason::TransportError);
            }
        }
    }

    /// Reads the log for a socket until it has been sent everything. It is read when the socket has room, and not before:
    /// what does not fit stays in the log.
    async fn tell(&self, user: &Shared, sid: Sid) -> Result<(), Sent> {
        let mut backoff = Backoff::default();
        loop {
            let transport = lock(user).transport(sid).ok_or(Sent::Gone)?;
            if !transport.room().await || !lock(user).is_connected(sid) {
                return Err(Sent::Gone);
            }
            let Some(part) = lock(user).part(sid) else { return Ok(()) };
            if let Part::Unheard { .. } = part {
                self.flush().await;
            }
            let read = match self.pages.read(user, &part).await {
                Ok(read) => read,
                Err(error) => {
                    tracing::debug!(%error, "cannot read outcomes, trying again");
                    lock(user).again(sid);
                    tokio::time::sleep(backoff.next()).await;
                    continue;
                }
            };
            backoff = Backoff::default();
            let progress = transport.progress();
            match self.tell_page(user, sid, &part, &read) {
                Err(Sent::Full) => transport.progressed(progress).await,
                Err(Sent::Waits(bytes)) => self.budgets.room_for_small(bytes).await,
                told => told?,
            }
        }
    }

    /// Sends a socket a page; [`Sent::Full`] or [`Sent::Waits`] when there was no room for all of it: it must be read again.
    fn tell_page(&self, user: &Shared, sid: Sid, part: &Part, read: &Read) -> Result<(), Sent> {
        let accepted = lock(user).accepts(sid, part, &read.page);
        if accepted == Err(Sent::Full) {
            lock(user).stopped(sid, part, None);
        }
        if !accepted? {
            return Ok(());
        }
        let mut last = None;
        for (n, entry) in read.page.entries.iter().enumerate() {
            let sent = self.with(user, |user| user.replay(sid, part, read, n));
            if matches!(sent, Err(Sent::Full | Sent::Waits(_))) {
                lock(user).stopped(sid, part, last);
            }
            sent?;
            last = Some(entry.seq);
        }
        lock(user).read(sid, part, &read.page);
        Ok(())
    }
}
