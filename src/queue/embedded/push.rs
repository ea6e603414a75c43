//! Adds a job, in one transaction with its idempotency key.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{EmbeddedQueue, millis, now_ms};
use crate::queue::{KEY_TTL, OnceKey, Pushed, QueueError};

pub(super) async fn push(queue: &EmbeddedQueue, data: Vec<u8>) -> Result<String, QueueError> {
    let (name, id, now) = (queue.name, queue.ids.next(), now_ms());
    let job = id.clone();
    queue.file.transaction(move |tx| add(tx, name, &job, &data, now)).await?;
    queue.wake.notify_one();
    Ok(id)
}

pub(super) async fn push_once(
    queue: &EmbeddedQueue,
    data: Vec<u8>,
    key: &OnceKey,
) -> Result<Pushed, QueueError> {
    let (name, id, now, key) = (queue.name, queue.ids.next(), now_ms(), key.clone());
    let work = move |tx: &Transaction<'_>| {
        let OnceKey { name: key, fingerprint } = key;
        let select = "SELECT job, fingerprint FROM idempotency_keys WHERE name = ? AND expires >= ?";
        let before = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
        match tx.prepare_cached(select)?.query_row(params![key, now], before).optional()? {
            Some((job, asked)) if asked == fingerprint => return Ok(Pushed::Before(job)),
            Some(_) => return Ok(Pushed::KeyTaken),
            None => {}
        }
        add(tx, name, &id, &data, now)?;
        let take =
            "INSERT OR REPLACE INTO idempotency_keys (name, fingerprint, job, expires) VALUES (?, ?, ?, ?)";
        tx.prepare_cached(take)?.execute(params![key, fingerprint, id, now + millis(KEY_TTL)])?;
        Ok(Pushed::Added(id))
    };
    let pushed = queue.file.transaction(work).await?;
    queue.wake.notify_one();
    Ok(pushed)
}

fn add(tx: &Transaction<'_>, queue: &str, id: &str, data: &[u8], now: i64) -> rusqlite::Result<()> {
    let insert = "INSERT INTO jobs (queue, id, data, created, due) VALUES (?, ?, ?, ?, ?)";
    tx.prepare_cached(insert)?.execute(params![queue, id, data, now, now]).map(drop)
}
