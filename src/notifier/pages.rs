//! Pages of users' logs in memory: a bounded number of bytes, and one page for all sockets that need the same one.

use std::sync::{Arc, Mutex, OnceLock, Weak};

use tokio::sync::Semaphore;

use super::{budgets::Shares, hub::lock, member::Part, packet::Packet, response::Told, user::User};
use crate::queue::{
    QueueError,
    log::{OutcomeLog, PAGE_BYTES, Page, Seq},
};

/// How many pages may be read at a time: their bytes are known only afterwards.
const AT_A_TIME: usize = 4;

/// A page that was read, with the epoch of its log.
pub(super) struct Read {
    /// The page.
    pub page: Page,
    /// The epoch of the log.
    pub epoch: Arc<str>,
    /// What clients are sent for each entry, written when it is first needed; `None` if it cannot be written as JSON.
    packets: Vec<OnceLock<Option<Arc<Packet>>>>,
    /// What the page and its packets have taken from the budgets.
    shares: Mutex<Shares>,
}

impl Read {
    fn new(page: Page, shares: Shares) -> Self {
        let epoch = page.epoch.as_str().into();
        let packets = page.entries.iter().map(|_| OnceLock::new()).collect();
        Self { page, epoch, packets, shares: Mutex::new(shares) }
    }

    /// What clients are sent for the `n`-th entry; `None` when it cannot be written as JSON.
    pub(super) fn packet(&self, n: usize) -> Option<Arc<Packet>> {
        let entry = self.page.entries.get(n)?;
        let write = || {
            let told = Told { queue: &entry.queue, job: &entry.job, profile: &entry.profile };
            let response = told.response(Some((&self.epoch, entry.seq))).ok()?;
            // A large one outlives the page while it waits for sockets, and its share with it.
            let share = Packet::is_large(&response).then(|| lock(&self.shares).split(response.get().len()));
            Some(Arc::new(Packet::new(response, share)))
        };
        self.packets.get(n)?.get_or_init(write).clone()
    }
}

/// The page of one user's log that was read last, unless the log has grown since.
#[derive(Default)]
pub(super) struct Fresh {
    after: Seq,
    page: Weak<Read>,
    /// How often the log has grown.
    grown: u64,
}

impl Fresh {
    /// The log has grown.
    pub(super) fn spoil(&mut self) {
        self.page = Weak::new();
        self.grown += 1;
    }

    /// The page for `part`, if somebody still has it.
    fn of(&self, part: &Part) -> Option<Arc<Read>> {
        self.page.upgrade().filter(|_| matches!(part, Part::After(seq) if *seq == self.after))
    }
}

/// Reads pages.
pub(super) struct Pages {
    log: Arc<dyn OutcomeLog>,
    reading: Semaphore,
}

impl Pages {
    /// Pages of `log`.
    pub(super) fn new(log: Arc<dyn OutcomeLog>) -> Self {
        Self { log, reading: Semaphore::new(AT_A_TIME) }
    }

    /// Reads `part` of the log of `user`, once the budgets have room for it and for the packets that are made of it.
    pub(super) async fn read(&self, user: &Mutex<User>, part: &Part) -> Result<Arc<Read>, QueueError> {
        let mut needed = 2 * PAGE_BYTES;
        loop {
            if let Some(read) = lock(user).fresh.of(part) {
                return Ok(read);
            }
            let budgets = lock(user).budgets();
            let mut shares = budgets.take(needed).await;
            let (id, grown) = {
                let user = lock(user);
                if let Some(read) = user.fresh.of(part) {
                    return Ok(read);
                }
                (Arc::clone(&user.id), user.fresh.grown)
            };
            let reading = self.reading.acquire().await;
            let page = self.log.read(&id, part.which()).await?;
            let bytes = 2 * page.entries.iter().map(|entry| entry.profile.get().len()).sum::<usize>();
            if bytes > needed {
                // It has an outcome that is larger than a page: only now it is known how much that needs.
                needed = bytes;
                continue;
            }
            drop(reading);
            shares.shrink_to(bytes);
            let read = Arc::new(Read::new(page, shares));
            let fresh = &mut lock(user).fresh;
            if let Part::After(seq) = part
                && fresh.grown == grown
            {
                (fresh.after, fresh.page) = (*seq, Arc::downgrade(&read));
            }
            return Ok(read);
        }
    }
}
