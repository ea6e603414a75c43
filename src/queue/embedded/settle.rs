//! Ends claims, and logs their outcomes in the same transaction.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use rusqlite::{OptionalExtension, Transaction, params};

use super::{EmbeddedQueue, millis, now_ms, now_us, quotas};
use crate::queue::{QueueError, Settled, Settlement, Verdict, log::append};

pub(super) async fn settle(queue: &EmbeddedQueue, batch: &[Settlement]) -> Result<Vec<Settled>, QueueError> {
    let (name, bounds, now) = (queue.name, queue.log, now_ms());
    let batch = batch.to_vec();
    let quota = queue.quota;
    let dropped = Arc::clone(&queue.dropped);
    let back = batch.iter().any(|settlement| !matches!(settlement.verdict, Verdict::Done | Verdict::Bury(_)));
    let work = move |tx: &Transaction<'_>| {
        let settle = |settlement: &Settlement| {
            if !end(tx, name, settlement, now)? {
                return Ok(Settled::Lost);
            }
            if matches!(settlement.verdict, Verdict::Bury(_)) {
                let (user, gone) = fit(tx, &quota, name, settlement)?;
                if gone > 0 {
                    dropped.fetch_add(gone, Relaxed);
                    tracing::warn!(
                        user,
                        many = gone,
                        "the oldest dead letters of a user were dropped, to keep within quota.letters"
                    );
                }
            }
            let Some(outcome) = &settlement.outcome else { return Ok(Settled::Quietly) };
            append(tx, &bounds, (name, &settlement.id), outcome, now).map(Settled::Logged)
        };
        batch.iter().map(settle).collect::<rusqlite::Result<Vec<Settled>>>()
    };
    let settled = queue.file.transaction(work).await?;
    if back {
        queue.wake.notify_one();
    }
    Ok(settled)
}

/// Counts the letter that this settlement made as its user's, and makes room for it; returns the user, and how many letters went.
fn fit(
    tx: &Transaction<'_>,
    quota: &crate::config::Quota,
    queue: &str,
    settlement: &Settlement,
) -> rusqlite::Result<(Option<String>, u64)> {
    let user = settlement.outcome.as_ref().map(|outcome| outcome.user.as_str());
    let update = "UPDATE jobs SET user = coalesce(?, user) WHERE queue = ? AND id = ? RETURNING user";
    let user: Option<String> =
        tx.prepare_cached(update)?.query_row(params![user, queue, settlement.id], |row| row.get(0))?;
    let gone = quotas::fit_letters(tx, quota, user.as_deref())?;
    Ok((user, gone))
}

fn end(tx: &Transaction<'_>, queue: &str, settlement: &Settlement, now: i64) -> rusqlite::Result<bool> {
    let (id, lease) = (&settlement.id, &*settlement.lease);
    let changed = match &settlement.verdict {
        Verdict::Done | Verdict::Fail(_) => {
            let delete =
                "DELETE FROM jobs WHERE queue = ? AND id = ? AND lease = ? RETURNING user, length(data)";
            leave(tx, delete, params![queue, id, lease])?
        }
        Verdict::Retry(pause, error) => tx
            .prepare_cached(
                "UPDATE jobs SET state = 'waiting', lease = NULL, attempts = attempts + 1, due = ?, error = ?
                WHERE queue = ? AND id = ? AND lease = ?",
            )?
            .execute(params![now + millis(*pause), error, queue, id, lease])?,
        Verdict::Bury(reason) => {
            let update = "UPDATE jobs SET state = 'dead', lease = NULL, attempts = attempts + 1, reason = ?,
                died = max(?, 1 + coalesce((SELECT max(died) FROM jobs WHERE died IS NOT NULL), 0))
                WHERE queue = ? AND id = ? AND lease = ? RETURNING user, length(data)";
            leave(tx, update, params![reason, now_us(), queue, id, lease])?
        }
        Verdict::Postpone(pause) => tx
            .prepare_cached(
                "UPDATE jobs SET state = 'waiting', lease = NULL, due = ?
                WHERE queue = ? AND id = ? AND lease = ?",
            )?
            .execute(params![now + millis(*pause), queue, id, lease])?,
        Verdict::Release => tx
            .prepare_cached(
                "UPDATE jobs SET state = 'waiting', lease = NULL
                WHERE queue = ? AND id = ? AND lease = ?",
            )?
            .execute((queue, id, lease))?,
    };
    Ok(changed == 1)
}

/// Runs a statement that takes a job out of its queue and returns its user and bytes, and counts it for the user no more; returns
/// how many rows it changed.
fn leave(tx: &Transaction<'_>, statement: &str, params: impl rusqlite::Params) -> rusqlite::Result<usize> {
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Option<String>>(0)?, row.get(1)?));
    let left = tx.prepare_cached(statement)?.query_row(params, row).optional()?;
    if let Some((Some(user), bytes)) = &left {
        quotas::free(tx, user, *bytes)?;
    }
    Ok(left.iter().len())
}
