//! Adds a job, in one transaction with its idempotency key and its user's quotas.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{EmbeddedQueue, millis, now_ms, quotas};
use crate::queue::{KEY_TTL, OnceKey, Push, Pushed, QueueError};

pub(super) async fn push(
    queue: &EmbeddedQueue,
    Push { data, user, key }: Push<'_>,
) -> Result<Pushed, QueueError> {
    let name = queue.name;
    let id = queue.ids.next();
    let quota = queue.quota;
    let now = now_ms();
    let user = user.map(str::to_owned);
    let key = key.cloned();
    let work = move |tx: &Transaction<'_>| {
        if let Some(before) = key.as_ref().map(|key| before(tx, key, now)).transpose()?.flatten() {
            return Ok(before);
        }
        let mut left = None;
        if let Some(user) = &user {
            match quotas::take(tx, &quota, user, (data.len(), key.is_some()))? {
                Ok(there) => left = there,
                Err(over) => return Ok(over),
            }
        }
        let insert = "INSERT INTO jobs (queue, id, data, created, due, user) VALUES (?, ?, ?, ?, ?, ?)";
        tx.prepare_cached(insert)?.execute(params![name, id, data, now, now, user])?;
        if let Some(OnceKey { name, fingerprint }) = key {
            let take = "INSERT OR REPLACE INTO idempotency_keys (name, fingerprint, job, expires) VALUES (?, ?, ?, ?)";
            tx.prepare_cached(take)?.execute(params![name, fingerprint, id, now + millis(KEY_TTL)])?;
        }
        Ok(Pushed::Added { id, left })
    };
    let pushed = queue.file.transaction(work).await?;
    queue.wake.notify_one();
    Ok(pushed)
}

/// What became of an earlier push with this key, if there was one.
fn before(tx: &Transaction<'_>, key: &OnceKey, now: i64) -> rusqlite::Result<Option<Pushed>> {
    let select = "SELECT job, fingerprint FROM idempotency_keys WHERE name = ? AND expires >= ?";
    let before = tx.prepare_cached(select)?.query_row(params![key.name, now], |row| {
        Ok(if row.get::<_, String>(1)? == key.fingerprint {
            Pushed::Before(row.get(0)?)
        } else {
            Pushed::KeyTaken
        })
    });
    before.optional()
}
