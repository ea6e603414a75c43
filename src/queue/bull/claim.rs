//! Locks jobs that are due.

use std::{sync::LazyLock, time::Duration};

use redis::{RedisResult, Script};

use super::{BullQueue, LAYOUT, options};
use crate::queue::{Claim, Job, Lease};

static CLAIM: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("claim.lua")));

/// `{id, data, opts, attemptsMade, timestamp, stalledCounter, claimed before}`. Bull's own numbers, but producers
/// may write anything.
type Row = (String, Vec<u8>, Vec<u8>, String, String, String, bool);

pub(super) async fn claim(queue: &BullQueue, lease: &Lease, max: usize) -> RedisResult<Claim> {
    let keys = &queue.keys;
    let (rows, broken, next_due, now): (Vec<Row>, _, i64, i64) = CLAIM
        .key(&keys.wait)
        .key(&keys.active)
        .key(&keys.delayed)
        .key(&keys.priority)
        .key(&keys.paused)
        .key(&keys.meta_paused)
        .key(&keys.claim)
        .arg(&**lease)
        .arg(max)
        .arg(queue.claim_bytes)
        .arg(queue.lease.as_millis())
        .arg(&keys.prefix)
        .invoke_async(&mut queue.redis())
        .await?;
    Ok(Claim {
        jobs: rows.into_iter().map(|row| job(queue.name, row, lease, now)).collect(),
        broken,
        next_due: u64::try_from(next_due).ok().map(Duration::from_millis),
    })
}

fn job(queue: &'static str, row: Row, lease: &Lease, now: i64) -> Job {
    let (id, data, opts, attempts_made, timestamp, stalled, redelivered) = row;
    let attempt = attempts_made.parse().unwrap_or(0) + 1;
    Job {
        id,
        queue,
        layout: LAYOUT,
        data,
        // Without a time that can be read, one that stays the same: a second run must make the same character.
        created_ms: timestamp.parse().unwrap_or(0),
        claimed_ms: now,
        attempt,
        crashes: stalled.parse().unwrap_or(0),
        redelivered,
        options: options::parse(&opts, attempt),
        lease: Lease::clone(lease),
    }
}
