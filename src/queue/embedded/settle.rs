//! Ends claims, and keeps outcomes in the same transaction.

use rusqlite::{Transaction, params};

use super::{EmbeddedQueue, millis, now_ms};
use crate::{
    outcome::Outcome,
    queue::{QueueError, Settlement, Verdict},
};

pub(super) async fn settle(queue: &EmbeddedQueue, batch: &[Settlement]) -> Result<Vec<bool>, QueueError> {
    let (name, now) = (queue.name, now_ms());
    let expires = now + millis(queue.outcome_ttl);
    let batch = batch.to_vec();
    let back =
        batch.iter().any(|settlement| matches!(settlement.verdict, Verdict::Release | Verdict::Retry(..)));
    let work = move |tx: &Transaction<'_>| {
        let settle = |settlement: &Settlement| {
            let settled = end(tx, name, settlement, now)?;
            if let (true, Some(outcome)) = (settled, &settlement.outcome) {
                keep(tx, name, &settlement.id, outcome, expires)?;
            }
            Ok(settled)
        };
        batch.iter().map(settle).collect::<rusqlite::Result<Vec<bool>>>()
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
        Verdict::Done => tx
            .prepare_cached("DELETE FROM jobs WHERE queue = ? AND id = ? AND lease = ?")?
            .execute((queue, id, lease))?,
        Verdict::Retry(pause, _) => tx
            .prepare_cached(
                "UPDATE jobs SET state = 'waiting', lease = NULL, attempts = attempts + 1, due = ?
                WHERE queue = ? AND id = ? AND lease = ?",
            )?
            .execute(params![now + millis(*pause), queue, id, lease])?,
        Verdict::Bury(reason) => tx
            .prepare_cached(
                "UPDATE jobs SET state = 'dead', lease = NULL, attempts = attempts + 1, reason = ?
                WHERE queue = ? AND id = ? AND lease = ?",
            )?
            .execute((reason, queue, id, lease))?,
        Verdict::Release => tx
            .prepare_cached(
                "UPDATE jobs SET state = 'waiting', lease = NULL
                WHERE queue = ? AND id = ? AND lease = ?",
            )?
            .execute((queue, id, lease))?,
    };
    Ok(changed == 1)
}

/// Keeps an outcome. Of large ones, those of reads, only the last few of each user are kept.
fn keep(
    tx: &Transaction<'_>,
    queue: &str,
    job: &str,
    outcome: &Outcome,
    expires: i64,
) -> rusqlite::Result<()> {
    const LARGE_BYTES: u32 = 16_384;
    const LARGE_KEPT: u32 = 4;
    let insert = "INSERT INTO outcomes (queue, job, user, profile, expires) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (queue, job) DO UPDATE SET user = excluded.user, profile = excluded.profile,
        expires = excluded.expires";
    let profile = outcome.kept();
    tx.prepare_cached(insert)?.execute(params![queue, job, outcome.user, profile, expires])?;
    if profile.len() > LARGE_BYTES as usize {
        let trim = "DELETE FROM outcomes WHERE rowid IN (SELECT rowid FROM outcomes
            WHERE user = ? AND queue = ? AND length(profile) > ? ORDER BY rowid DESC LIMIT -1 OFFSET ?)";
        tx.prepare_cached(trim)?.execute(params![outcome.user, queue, LARGE_BYTES, LARGE_KEPT])?;
    }
    Ok(())
}
