//! A queue in the embedded file, with the same semantics as the one in Redis.

mod claim;
mod letters;
mod push;
mod quotas;
mod settle;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Transaction, params};
use tokio::sync::Notify;

pub use letters::EmbeddedLetters;

use super::{
    Claim, Counts, Inbox, Lease, Look, Push, Pushed, Queue, QueueError, Room, Settled, Settlement, State,
    ids::Ids,
    log::{Bounds, drop_old, outcome_of},
};
use crate::{
    config,
    embedded::{Embedded, EmbeddedError},
};

/// The layout's name in logs and metrics.
const LAYOUT: &str = "embedded";

/// One queue in the table `jobs`.
pub struct EmbeddedQueue {
    name: &'static str,
    file: Embedded,
    ids: Ids,
    claim_bytes: usize,
    lease: Duration,
    log: Bounds,
    letter_ttl: Duration,
    quota: config::Quota,
    dropped: Arc<AtomicU64>,
    wake: Notify,
}

impl EmbeddedQueue {
    /// The queue `name` in `file`. Leased jobs were leased by a process that is gone, since only one at a time holds the
    /// file: they are taken back at once, with a crash counted.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn open(
        name: &'static str,
        file: Embedded,
        config: &config::Queue,
    ) -> Result<Self, QueueError> {
        file.transaction(move |tx| take_back(tx, name, i64::MAX)).await?;
        Ok(Self {
            name,
            file,
            ids: Ids::default(),
            claim_bytes: config.claim_bytes,
            lease: config.lease,
            log: Bounds::new(config),
            letter_ttl: config.letter_ttl,
            quota: config.quota,
            dropped: Arc::default(),
            wake: Notify::new(),
        })
    }
}

#[async_trait]
impl Queue for EmbeddedQueue {
    fn name(&self) -> &'static str {
        self.name
    }

    fn layout(&self) -> &'static str {
        LAYOUT
    }

    async fn claim(&self, lease: &Lease, room: Room) -> Result<Claim, QueueError> {
        claim::claim(self, lease, room).await
    }

    async fn settle(&self, batch: &[Settlement]) -> Result<Vec<Settled>, QueueError> {
        settle::settle(self, batch).await
    }

    async fn renew(&self, held: &[(String, Lease)]) -> Result<Vec<bool>, QueueError> {
        let (queue, until, held) = (self.name, now_ms() + millis(self.lease), held.to_vec());
        let update = "UPDATE jobs SET lease_until = ? WHERE queue = ? AND id = ? AND lease = ?";
        let work = move |tx: &Transaction<'_>| {
            let mut update = tx.prepare_cached(update)?;
            held.iter()
                .map(|(id, lease)| Ok(update.execute(params![until, queue, id, &**lease])? == 1))
                .collect()
        };
        Ok(self.file.transaction(work).await?)
    }

    async fn rescue(&self) -> Result<usize, QueueError> {
        let (queue, log, letter_ttl, now) = (self.name, self.log, self.letter_ttl, now_ms());
        let work = move |tx: &Transaction<'_>| {
            drop_old(tx, &log, now)?;
            tx.prepare_cached("DELETE FROM idempotency_keys WHERE expires < ?")?.execute([now])?;
            letters::forget(tx, now, letter_ttl)?;
            quotas::forget(tx)?;
            take_back(tx, queue, now)
        };
        let rescued = self.file.transaction(work).await?;
        if rescued > 0 {
            self.wake.notify_one();
        }
        Ok(rescued)
    }

    async fn counts(&self) -> Result<Counts, QueueError> {
        let (queue, now) = (self.name, now_ms());
        let select = "SELECT count(*) FILTER (WHERE state = 'waiting' AND due <= ?2),
                count(*) FILTER (WHERE state = 'waiting' AND due > ?2),
                count(*) FILTER (WHERE state = 'active'), count(*) FILTER (WHERE state = 'dead')
            FROM jobs WHERE queue = ?1";
        let work = move |tx: &Transaction<'_>| {
            tx.prepare_cached(select)?.query_row(params![queue, now], |row| {
                let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
                Ok(Counts {
                    waiting: count(0)?,
                    delayed: count(1)?,
                    active: count(2)?,
                    dead: count(3)?,
                    paused: false,
                })
            })
        };
        Ok(self.file.transaction(work).await?)
    }

    fn letters_dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    async fn ping(&self) -> Result<(), QueueError> {
        Ok(self.file.transaction(|tx| tx.query_row("SELECT 1", (), |_| Ok(()))).await?)
    }

    async fn woken(&self) {
        self.wake.notified().await;
    }
}

#[async_trait]
impl Inbox for EmbeddedQueue {
    async fn push(&self, push: Push<'_>) -> Result<Pushed, QueueError> {
        push::push(self, push).await
    }

    async fn look(&self, id: &str) -> Result<Option<Look>, QueueError> {
        let (queue, id, log, now) = (self.name, id.to_owned(), self.log, now_ms());
        Ok(self.file.transaction(move |tx| look(tx, (queue, &id), &log, now)).await?)
    }
}

fn look(
    tx: &Transaction<'_>,
    (queue, id): (&str, &str),
    log: &Bounds,
    now: i64,
) -> rusqlite::Result<Option<Look>> {
    let job = "SELECT data, state, due FROM jobs WHERE queue = ? AND id = ?";
    let job = tx.prepare_cached(job)?.query_row((queue, id), |row| {
        let (state, due): (String, i64) = (row.get(1)?, row.get(2)?);
        let state = match state.as_str() {
            "active" => State::Active,
            "dead" => State::Failed,
            _ if due > now => State::Delayed,
            _ => State::Waiting,
        };
        Ok((row.get::<_, Vec<u8>>(0)?, state))
    });
    let outcome = outcome_of(tx, log, (queue, id), now)?;
    Ok(match (job.optional()?, outcome) {
        (Some((data, state)), outcome) => {
            // A job that waits or runs may have been redriven: what its user was told before is no longer its outcome.
            Some(Look { state, data: Some(data), outcome: outcome.filter(|_| state == State::Failed) })
        }
        (None, Some(outcome)) => Some(Look { state: State::Done, data: None, outcome: Some(outcome) }),
        (None, None) => None,
    })
}

/// Takes back jobs whose lease has expired at `now`.
fn take_back(tx: &Transaction<'_>, queue: &str, now: i64) -> rusqlite::Result<usize> {
    let update = "UPDATE jobs SET state = 'waiting', lease = NULL, lease_until = NULL, crashes = crashes + 1
        WHERE queue = ? AND state = 'active' AND lease_until <= ?";
    tx.prepare_cached(update)?.execute((queue, now))
}

pub(super) fn now_ms() -> i64 {
    now_us() / 1000
}

fn now_us() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl From<EmbeddedError> for QueueError {
    fn from(error: EmbeddedError) -> Self {
        Self(error.into())
    }
}
