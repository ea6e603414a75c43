//! The log in the embedded file.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde_json::value::RawValue;

use super::{Entry, Mark, Message, OutcomeLog, PAGE, PAGE_BYTES, Page, Place, Seq, Which};
use crate::{
    config,
    embedded::Embedded,
    outcome::Outcome,
    queue::{QueueError, new_lease},
};

/// How much of each log is kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub(in crate::queue) struct Bounds {
    ttl: Duration,
    max_bytes: usize,
}

impl Bounds {
    pub(in crate::queue) fn new(config: &config::Queue) -> Self {
        Self { ttl: config.outcome_ttl, max_bytes: config.outcome_bytes }
    }

    fn max_bytes(&self) -> i64 {
        i64::try_from(self.max_bytes).unwrap_or(i64::MAX)
    }

    /// The oldest place that is kept at `now`, in milliseconds.
    fn oldest(&self, now: i64) -> Seq {
        (now - i64::try_from(self.ttl.as_millis()).unwrap_or(i64::MAX)).max(0) * 1000
    }
}

/// Appends an outcome of `job`, and drops the oldest ones while the log is too large.
pub(in crate::queue) fn append(
    tx: &Transaction<'_>,
    bounds: &Bounds,
    (queue, job): (&str, &str),
    outcome: &Outcome,
    now: i64,
) -> rusqlite::Result<Place> {
    let (user, profile) = (&outcome.user, outcome.kept(bounds.max_bytes));
    let select = "SELECT epoch, last, floor, bytes FROM log_state WHERE user = ?";
    let state = tx.prepare_cached(select)?.query_row([user], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Seq>(1)?, row.get::<_, Seq>(2)?, row.get::<_, i64>(3)?))
    });
    let (epoch, before, mut floor, mut bytes) =
        state.optional()?.unwrap_or_else(|| (new_lease().to_string(), 0, 0, 0));
    let seq = (before + 1).max(now * 1000);
    let insert = "INSERT INTO log (user, seq, queue, job, profile) VALUES (?, ?, ?, ?, ?)";
    tx.prepare_cached(insert)?.execute(params![user, seq, queue, job, profile])?;
    bytes += size(profile);
    while bytes > bounds.max_bytes() {
        let first = "DELETE FROM log WHERE user = ?1 AND seq = (SELECT min(seq) FROM log WHERE user = ?1)
            RETURNING seq, length(CAST(profile AS BLOB))";
        let (dropped, freed): (Seq, i64) =
            tx.prepare_cached(first)?.query_row([user], |row| Ok((row.get(0)?, row.get(1)?)))?;
        (floor, bytes) = (dropped, bytes - freed);
    }
    let update =
        "INSERT INTO log_state (user, epoch, last, floor, bytes) VALUES (?, ?, ?, ?, ?) ON CONFLICT (user)
        DO UPDATE SET last = excluded.last, floor = excluded.floor, bytes = excluded.bytes";
    tx.prepare_cached(update)?.execute(params![user, epoch, seq, floor, bytes])?;
    Ok(Place { seq, before, epoch: epoch.into() })
}

fn size(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

/// Drops outcomes of all users that are too old to keep, a bounded number at a time.
pub(in crate::queue) fn drop_old(tx: &Transaction<'_>, bounds: &Bounds, now: i64) -> rusqlite::Result<()> {
    let oldest = bounds.oldest(now);
    let old = "DELETE FROM log WHERE rowid IN (SELECT rowid FROM log WHERE seq < ? ORDER BY seq LIMIT 1000)
        RETURNING user, seq, length(CAST(profile AS BLOB))";
    let dropped = tx
        .prepare_cached(old)?
        .query_map([oldest], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<Vec<(String, Seq, i64)>>>()?;
    let update = "UPDATE log_state SET floor = max(floor, ?), bytes = max(0, bytes - ?) WHERE user = ?";
    let mut update = tx.prepare_cached(update)?;
    for (user, seq, bytes) in dropped {
        update.execute(params![seq, bytes, user])?;
    }
    tx.prepare_cached("DELETE FROM log_state WHERE last < ?")?.execute([oldest])?;
    Ok(())
}

/// The outcome of a job, if it is still kept.
pub(in crate::queue) fn outcome_of(
    tx: &Transaction<'_>,
    bounds: &Bounds,
    (queue, job): (&str, &str),
    now: i64,
) -> rusqlite::Result<Option<Outcome>> {
    let select =
        "SELECT user, profile FROM log WHERE queue = ? AND job = ? AND seq >= ? ORDER BY seq DESC LIMIT 1";
    tx.prepare_cached(select)?
        .query_row(params![queue, job, bounds.oldest(now)], |row| {
            Ok(Outcome { user: row.get(0)?, profile: profile(row, 1)? })
        })
        .optional()
}

/// The logs in the embedded file.
pub struct EmbeddedLog {
    file: Embedded,
    bounds: Bounds,
}

impl EmbeddedLog {
    /// The logs in `file`, with the bounds of `config`.
    #[must_use]
    pub fn new(file: Embedded, config: &config::Queue) -> Self {
        Self { file, bounds: Bounds::new(config) }
    }
}

#[async_trait]
impl OutcomeLog for EmbeddedLog {
    async fn read(&self, user: &str, which: Which<'_>) -> Result<Page, QueueError> {
        let (user, oldest) = (user.to_owned(), self.bounds.oldest(crate::queue::embedded::now_ms()));
        let (after, to, queue) = match which {
            Which::After(after) => (after, None, None),
            Which::Unheard { queue, after, to } => (after, to, Some(queue.to_owned())),
        };
        let work = move |tx: &Transaction<'_>| {
            let state = "SELECT epoch, last, floor FROM log_state WHERE user = ?";
            let state = tx.prepare_cached(state)?.query_row([&user], |row| {
                Ok(Page { epoch: row.get(0)?, last: row.get(1)?, floor: row.get(2)?, ..Page::default() })
            });
            let mut page = state.optional()?.unwrap_or_default();
            let old = "SELECT max(seq) FROM log WHERE user = ? AND seq < ?";
            let old: Option<Seq> =
                tx.prepare_cached(old)?.query_row(params![user, oldest], |row| row.get(0))?;
            page.floor = page.floor.max(old.unwrap_or_default());
            let select = match &queue {
                None => {
                    "SELECT seq, queue, job, profile FROM log
                    WHERE user = ? AND seq > ? AND seq <= ? AND ? IS NULL ORDER BY seq"
                }
                Some(_) => {
                    "SELECT seq, queue, job, profile FROM log
                    WHERE user = ? AND seq > ? AND seq <= ? AND queue = ? AND heard = 0 ORDER BY seq"
                }
            };
            let mut select = tx.prepare_cached(select)?;
            let mut rows =
                select.query(params![user, after.max(oldest - 1), to.unwrap_or(i64::MAX), queue])?;
            let mut bytes = 0;
            while let Some(row) = rows.next()? {
                if page.entries.len() == PAGE || bytes >= PAGE_BYTES {
                    page.more = true;
                    break;
                }
                let entry = entry(row)?;
                bytes += entry.profile.get().len();
                page.entries.push(entry);
            }
            Ok(page)
        };
        Ok(self.file.transaction(work).await?)
    }

    async fn mark(&self, marks: &[Mark]) -> Result<(), QueueError> {
        let marks = marks.to_vec();
        let work = move |tx: &Transaction<'_>| {
            let mut update = tx.prepare_cached("UPDATE log SET heard = ? WHERE user = ? AND seq = ?")?;
            for Mark { user, seq, heard, .. } in &marks {
                update.execute(params![heard, &**user, seq])?;
            }
            Ok(())
        };
        Ok(self.file.transaction(work).await?)
    }

    async fn pass(&self, _: &Message) -> Result<(), QueueError> {
        Ok(()) // There is no other process.
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry { seq: row.get(0)?, queue: row.get(1)?, job: row.get(2)?, profile: profile(row, 3)? })
}

fn profile(row: &Row<'_>, column: usize) -> rusqlite::Result<Box<RawValue>> {
    RawValue::from_string(row.get(column)?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
    })
}
