//! Ends claims, and logs their outcomes in the same transaction.

use rusqlite::{Transaction, params};

use super::{EmbeddedQueue, millis, now_ms, now_us};
use crate::queue::{QueueError, Settled, Settlement, Verdict, log::append};

pub(super) async fn settle(queue: &EmbeddedQueue, batch: &[Settlement]) -> Result<Vec<Settled>, QueueError> {
    let (name, bounds, now) = (queue.name, queue.log, now_ms());
    let batch = batch.to_vec();
    let back =
        batch.iter().any(|settlement| matches!(settlement.verdict, Verdict::Release | Verdict::Retry(..)));
    let work = move |tx: &Transaction<'_>| {
        let settle = |settlement: &Settlement| {
            if !end(tx, name, settlement, now)? {
                return Ok(Settled::Lost);
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

fn end(tx: &Transaction<'_>, queue: &str, settlement: &Settlement, now: i64) -> rusqlite::Result<bool> {
    let (id, lease) = (&settlement.id, &*settlement.lease);
    let changed = match &settlement.verdict {
        Verdict::Done | Verdict::Fail(_) => tx
            .prepare_cached("DELETE FROM jobs WHERE queue = ? AND id = ? AND lease = ?")?
            .execute((queue, id, lease))?,
        Verdict::Retry(pause, error) => tx
            .prepare_cached(
                "UPDATE jobs SET state = 'waiting', lease = NULL, attempts = attempts + 1, due = ?, error = ?
                WHERE queue = ? AND id = ? AND lease = ?",
            )?
            .execute(params![now + millis(*pause), error, queue, id, lease])?,
        Verdict::Bury(reason) => tx
            .prepare_cached(
                "UPDATE jobs SET state = 'dead', lease = NULL, attempts = attempts + 1, reason = ?,
                died = max(?, 1 + coalesce((SELECT max(died) FROM jobs WHERE died IS NOT NULL), 0))
                WHERE queue = ? AND id = ? AND lease = ?",
            )?
            .execute(params![reason, now_us(), queue, id, lease])?,
        Verdict::Release => tx
            .prepare_cached(
                "UPDATE jobs SET state = 'waiting', lease = NULL
                WHERE queue = ? AND id = ? AND lease = ?",
            )?
            .execute((queue, id, lease))?,
    };
    Ok(changed == 1)
}
