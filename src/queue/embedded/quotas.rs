//! What one user has in the embedded file, and how much of it is too much.

use rusqlite::{OptionalExtension, Transaction, params};

use super::now_us;
use crate::{
    config,
    queue::{Pushed, Quota, quota::Bucket},
};

/// Counts a job of `bytes` for `user`, and a new idempotency key if it has one. Returns how many are left of the rate, if there
/// is one; or, if a quota is used up, what became of the push: then nothing is counted.
pub(super) fn take(
    tx: &Transaction<'_>,
    quota: &config::Quota,
    user: &str,
    (bytes, has_key): (usize, bool),
) -> rusqlite::Result<Result<Option<u64>, Pushed>> {
    let select = "SELECT jobs, bytes, rate, keys FROM quotas WHERE user = ?";
    let own = tx.prepare_cached(select)?.query_row([user], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?))
    });
    let (jobs, held, full, keys) = own.optional()?.unwrap_or_default();
    let jobs = jobs + 1;
    let held = held.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
    let over = |quota, wait| Ok(Err(Pushed::Over { quota, wait }));
    if quota.jobs_waiting > 0 && jobs > quota.jobs_waiting.into() {
        return over(Quota::JobsWaiting, None);
    }
    if quota.bytes_waiting > 0 && held.unsigned_abs() > quota.bytes_waiting {
        return over(Quota::BytesWaiting, None);
    }
    let now = now_us();
    let (full, left, wait) = Bucket::per_second(quota.jobs_per_second).take(full, now);
    if !wait.is_zero() {
        return over(Quota::JobsPerSecond, Some(wait));
    }
    let keys = if has_key {
        let (full, _, wait) = Bucket::per_day(quota.idempotency_keys).take(keys, now);
        if !wait.is_zero() {
            return over(Quota::IdempotencyKeys, Some(wait));
        }
        full
    } else {
        keys
    };
    let update = "INSERT INTO quotas (user, jobs, bytes, rate, keys) VALUES (?, ?, ?, ?, ?) ON CONFLICT (user) DO UPDATE
        SET jobs = excluded.jobs, bytes = excluded.bytes, rate = excluded.rate, keys = excluded.keys";
    tx.prepare_cached(update)?.execute(params![user, jobs, held, full, keys])?;
    Ok(Ok((quota.jobs_per_second > 0).then_some(left)))
}

/// A job of `user` has left its queue.
pub(super) fn free(tx: &Transaction<'_>, user: &str, bytes: i64) -> rusqlite::Result<()> {
    let update = "UPDATE quotas SET jobs = max(0, jobs - 1), bytes = max(0, bytes - ?) WHERE user = ?";
    tx.prepare_cached(update)?.execute(params![bytes, user])?;
    Ok(())
}

/// Deletes what says no more than nothing: of users whose jobs are done, and whose buckets are full.
pub(super) fn forget(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    let now = now_us();
    let delete = "DELETE FROM quotas WHERE jobs = 0 AND rate < ? AND keys < ?";
    tx.prepare_cached(delete)?.execute([now, now])?;
    Ok(())
}

/// Letters whose user is unknown share a budget this many times as large.
const SHARED: u64 = 10;

/// Deletes the oldest letters of a user while they are too many, or have too many bytes, but never the last; returns how many.
pub(super) fn fit_letters(
    tx: &Transaction<'_>,
    quota: &config::Quota,
    user: Option<&str>,
) -> rusqlite::Result<u64> {
    let times = if user.is_some() { 1 } else { SHARED };
    let limit = |most: u64| if most == 0 { i64::MAX } else { (most * times).cast_signed() };
    let most = limit(quota.letters.into());
    let max = limit(quota.letter_bytes);
    let sums = "SELECT count(*), coalesce(sum(length(data)), 0) FROM jobs WHERE user IS ? AND died > 0";
    let (mut count, mut bytes): (i64, i64) =
        tx.prepare_cached(sums)?.query_row([user], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut dropped = 0;
    while count > 1 && (count > most || bytes > max) {
        let oldest = "DELETE FROM jobs WHERE seq = (SELECT seq FROM jobs WHERE user IS ? AND died > 0
            ORDER BY died LIMIT 1) RETURNING length(data)";
        bytes -= tx.prepare_cached(oldest)?.query_row([user], |row| row.get::<_, i64>(0))?;
        count -= 1;
        dropped += 1;
    }
    Ok(dropped)
}
