//! Dead letters in the embedded file: jobs whose state is `dead`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Row, ToSql, Transaction, params, params_from_iter};

use super::{EmbeddedQueue, LAYOUT, millis, now_ms};
use crate::{
    embedded::Embedded,
    queue::{
        QueueError,
        letters::{Driven, End, Filter, Letter, Letters, Order, Page, SCAN, Scanned},
    },
};

/// The dead letters of these queues.
pub struct EmbeddedLetters {
    file: Embedded,
    queues: Arc<[Arc<EmbeddedQueue>]>,
}

impl EmbeddedLetters {
    /// The letters of `queues`, all of them in `file`.
    #[must_use]
    pub fn new(file: Embedded, queues: &[Arc<EmbeddedQueue>]) -> Self {
        Self { file, queues: queues.into() }
    }

    fn queue(&self, name: &str) -> Option<&EmbeddedQueue> {
        self.queues.iter().map(|queue| &**queue).find(|queue| queue.name == name)
    }

    /// The names of the queues that are meant.
    fn names(&self, filter: &Filter) -> Vec<&'static str> {
        self.queues.iter().map(|queue| queue.name).filter(|name| filter.has_home(LAYOUT, name)).collect()
    }
}

#[async_trait]
impl Letters for EmbeddedLetters {
    async fn list(&self, filter: &Filter, order: Order, limit: usize) -> Result<Page, QueueError> {
        let (names, filter) = (self.names(filter), filter.clone());
        let work = move |tx: &Transaction<'_>| page(tx, &names, &filter, order, limit);
        Ok(self.file.transaction(work).await?)
    }

    async fn count(&self, filter: &Filter) -> Result<u64, QueueError> {
        let (names, range) = (self.names(filter), filter.range);
        let select = "SELECT count(*) FROM jobs WHERE died > ? AND died < ? AND queue = ?";
        let work = move |tx: &Transaction<'_>| {
            let mut select = tx.prepare_cached(select)?;
            let mut count = |name| {
                let range = (range.above.cast_signed(), range.below.cast_signed());
                select.query_row(params![range.0, range.1, name], |row| row.get::<_, i64>(0))
            };
            names.into_iter().try_fold(0, |sum, name| Ok(sum + count(name)?.unsigned_abs()))
        };
        Ok(self.file.transaction(work).await?)
    }

    async fn show(
        &self,
        layout: &str,
        queue: &str,
        id: &str,
    ) -> Result<Option<(Letter, Vec<u8>)>, QueueError> {
        let (Some(queue), true) = (self.queue(queue), layout == LAYOUT) else { return Ok(None) };
        let (name, id) = (queue.name, id.to_owned());
        let select = format!("SELECT {COLUMNS}, data FROM jobs WHERE queue = ? AND id = ? AND died > 0");
        let work = move |tx: &Transaction<'_>| {
            tx.prepare_cached(&select)?
                .query_row((name, id), |row| Ok((letter(row, name)?, row.get(9)?)))
                .optional()
        };
        Ok(self.file.transaction(work).await?)
    }

    async fn drive(&self, letter: &Letter, data: Option<Vec<u8>>) -> Result<Driven, QueueError> {
        let Some(queue) = self.queue(letter.queue) else { return Ok(Driven::Gone) };
        let (name, id, serial, now) = (queue.name, letter.id.clone(), letter.serial, now_ms());
        let update = "UPDATE jobs SET state = 'waiting', due = ?, attempts = 0, crashes = 0, reason = NULL, error = NULL,
            died = NULL, user = NULL, data = coalesce(?, data) WHERE queue = ? AND id = ? AND died = ?";
        let work = move |tx: &Transaction<'_>| {
            tx.prepare_cached(update)?.execute(params![now, data, name, id, serial.cast_signed()])
        };
        if self.file.transaction(work).await? == 0 {
            return Ok(Driven::Gone);
        }
        queue.wake.notify_one();
        Ok(Driven::Again)
    }
}

/// Deletes up to 100 expired letters.
pub(super) fn forget(tx: &Transaction<'_>, now: i64, ttl: Duration) -> rusqlite::Result<usize> {
    let delete =
        "DELETE FROM jobs WHERE seq IN (SELECT seq FROM jobs WHERE died < ? ORDER BY died LIMIT 100)";
    tx.prepare_cached(delete)?.execute([now.saturating_sub(millis(ttl)) * 1000])
}

/// What is read of a letter besides its data and its queue.
const COLUMNS: &str = "id, died, reason, error, attempts, crashes, created, claimed, length(data)";

fn letter(row: &Row<'_>, queue: &'static str) -> rusqlite::Result<Letter> {
    let serial: i64 = row.get(1)?;
    Ok(Letter {
        layout: LAYOUT,
        queue,
        id: row.get(0)?,
        serial: serial.unsigned_abs(),
        reason: row.get::<_, Option<String>>(2)?.unwrap_or_default(),
        last_error: row.get(3)?,
        attempts: row.get(4)?,
        crashes: row.get(5)?,
        created_ms: Some(row.get(6)?),
        // An earlier version only noted that it had been claimed.
        claimed_ms: Some(row.get(7)?).filter(|claimed| *claimed > 1),
        died_ms: serial / 1000,
        bytes: row.get::<_, i64>(8)?.unsigned_abs(),
    })
}

fn page(
    tx: &Transaction<'_>,
    names: &[&'static str],
    filter: &Filter,
    order: Order,
    limit: usize,
) -> rusqlite::Result<Page> {
    if names.is_empty() {
        return Ok(Page { letters: Vec::new(), next: None });
    }
    let by = match order {
        Order::Newest => "DESC",
        Order::Oldest => "ASC",
    };
    // Each queue has its letters in order, and SQLite merges them: it looks at no more than it returns.
    let with_id = if filter.id.is_some() { "id = ?3" } else { "?3 IS NULL" };
    let of_one = |n: usize| {
        let queue = n + 5;
        format!(
            "SELECT {COLUMNS}, queue FROM jobs WHERE queue = ?{queue} AND died > ?1 AND died < ?2 AND {with_id}"
        )
    };
    let all = (0..names.len()).map(of_one).collect::<Vec<_>>().join(" UNION ALL ");
    let mut select = tx.prepare_cached(&format!("{all} ORDER BY died {by} LIMIT ?4"))?;
    // Without a reason to look for, every letter that is looked at is wanted.
    let most = if filter.reason.is_some() { SCAN } else { (limit + 1).min(SCAN) };
    let look_at = i64::try_from(most).unwrap_or(i64::MAX);
    let (above, below) = (filter.range.above.cast_signed(), filter.range.below.cast_signed());
    let first: [&dyn ToSql; 4] = [&above, &below, &filter.id, &look_at];
    let queues = names.iter().map(|name| name as &dyn ToSql);
    let mut rows = select.query(params_from_iter(first.into_iter().chain(queues)))?;
    let mut scanned: Vec<Scanned> = Vec::new();
    while let Some(row) = rows.next()? {
        let queue: String = row.get(9)?;
        if let Some(name) = names.iter().find(|name| **name == queue) {
            let letter = letter(row, name)?;
            scanned.push((letter.serial, Some(letter)));
        }
    }
    let newest = "SELECT max(died) FROM jobs WHERE died IS NOT NULL";
    let newest: Option<i64> = tx.prepare_cached(newest)?.query_row([], |row| row.get(0))?;
    let end = End { whole: scanned.len() < most, newest: newest.unwrap_or_default().unsigned_abs() };
    Ok(Page::of(scanned, filter, order, limit, end))
}
