//! Pages of users' logs in memory: a bounded number of bytes, and one page for all sockets that need the same one.

use std::sync::{Arc, Mutex, OnceLock, Weak};

use serde_json::value::RawValue;

use super::{hub::lock, member::Part, response::Told, user::User};
use crate::{
    budget::{Budget, Share},
    queue::{
        QueueError,
        log::{OutcomeLog, PAGE_BYTES, Page, Seq},
    },
};

/// The most bytes of pages at a time, with the responses that are made from them.
const TOTAL: usize = 48 << 20;

/// A page that was read, with the epoch of its log.
pub(super) struct Read {
    /// The page.
    pub page: Page,
    /// The epoch of the log.
    pub epoch: Arc<str>,
    /// What clients are sent for each entry, written when it is first needed.
    responses: Vec<OnceLock<Option<Box<RawValue>>>>,
    _share: Share,
}

impl Read {
    fn new(page: Page, share: Share) -> Self {
        let epoch = page.epoch.as_str().into();
        let responses = page.entries.iter().map(|_| OnceLock::new()).collect();
        Self { page, epoch, responses, _share: share }
    }

    /// What clients are sent for the `n`-th entry; `None` when it cannot be written as JSON.
    pub(super) fn response(&self, n: usize) -> Option<&RawValue> {
        let entry = self.page.entries.get(n)?;
        let write = || {
            let told = Told { queue: &entry.queue, job: &entry.job, profile: &entry.profile };
            told.response(Some((&self.epoch, entry.seq))).ok()
        };
        self.responses.get(n)?.get_or_init(write).as_deref()
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
    budget: Budget,
    most: usize,
}

impl Pages {
    /// Pages of `log`, whose outcomes have up to `most` bytes each.
    pub(super) fn new(log: Arc<dyn OutcomeLog>, most: usize) -> Self {
        Self { log, budget: Budget::new(TOTAL), most }
    }

    /// Reads `part` of the log of `user`.
    pub(super) async fn read(&self, user: &Mutex<User>, part: &Part) -> Result<Arc<Read>, QueueError> {
        if let Some(read) = lock(user).fresh.of(part) {
            return Ok(read);
        }
        // A page is full with PAGE_BYTES, or with one outcome more; and each may be written once more as a response.
        let mut share = self.budget.take(2 * (PAGE_BYTES + self.most)).await;
        let (id, grown) = {
            let user = lock(user);
            if let Some(read) = user.fresh.of(part) {
                return Ok(read);
            }
            (Arc::clone(&user.id), user.fresh.grown)
        };
        let page = self.log.read(&id, part.which()).await?;
        let bytes: usize = page.entries.iter().map(|entry| entry.profile.get().len()).sum();
        share.shrink_to(2 * bytes);
        let read = Arc::new(Read::new(page, share));
        let fresh = &mut lock(user).fresh;
        if let Part::After(seq) = part
            && fresh.grown == grown
        {
            (fresh.after, fresh.page) = (*seq, Arc::downgrade(&read));
        }
        Ok(read)
    }
}
