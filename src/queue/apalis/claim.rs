//! Leases jobs that are due.

use std::{sync::LazyLock, time::Duration};

use redis::{RedisResult, Script};
use ulid::Ulid;

use super::{ApalisQueue, LAYOUT};
use crate::queue::{
    Claim, Job, Lease, Options, Room,
    field::{Field, count, number},
    spoilt::invoke,
};

static CLAIM: LazyLock<Script> = LazyLock::new(|| Script::new(super::burying!(include_str!("claim.lua"))));

/// Attempts, `max_attempts`, crashes, ms of first claim, data, id, claimed before. A producer may have spoilt the numbers.
type Row = (Field, Field, Field, Field, Field, String, bool);

/// Rows, ids that were dropped, ms until the next is due, ms now, whether a suspect waits to run alone.
type Reply = (Vec<Row>, Vec<Vec<u8>>, i64, i64, bool);

pub(super) async fn claim(queue: &ApalisQueue, lease: &Lease, room: Room) -> RedisResult<Claim> {
    let (keys, long) = (&queue.keys, queue.long.expected());
    let mut call = CLAIM.prepare_invoke();
    call.key(&keys.active)
        .key(&keys.scheduled)
        .key(&keys.data)
        .key(&keys.leases)
        .key(&keys.claim)
        .arg(&**lease)
        .arg(room.jobs)
        .arg(queue.claim_bytes)
        .arg(queue.lease.as_millis())
        .arg(&keys.meta)
        .arg(room.newest)
        .arg(room.alone);
    queue.letters.tell(&mut call);
    call.key(&keys.counted);
    call.arg(long);
    let reply: Reply = invoke(&call, &mut queue.redis()).await?;
    queue.long.fill(long, claimed(queue.name, reply, lease), async |jobs| read(queue, jobs).await).await
}

/// What the script's reply says.
pub(in crate::queue) fn claimed(queue: &'static str, reply: Reply, lease: &Lease) -> Claim {
    let (rows, broken, next_due, now, suspect) = reply;
    Claim {
        jobs: rows.into_iter().map(|row| job(queue, row, lease, now)).collect(),
        broken: broken.iter().map(|id| String::from_utf8_lossy(id).into_owned()).collect(),
        next_due: u64::try_from(next_due).ok().map(Duration::from_millis),
        suspect,
        paused: false,
    }
}

/// Reads the data that the script left out.
async fn read(queue: &ApalisQueue, jobs: &[Job]) -> RedisResult<Vec<Field>> {
    let ids: Vec<_> = jobs.iter().map(|job| job.id.as_str()).collect();
    redis::cmd("HMGET").arg(&queue.keys.data).arg(ids).query_async(&mut queue.redis()).await
}

fn job(queue: &'static str, row: Row, lease: &Lease, now: i64) -> Job {
    let (attempts, max_attempts, crashes, first_claimed, data, id, redelivered) = row;
    let max_attempts = count(max_attempts);
    Job {
        created_ms: ApalisQueue::created_ms(&id, number(first_claimed).unwrap_or(now)),
        claimed_ms: now,
        id,
        queue,
        layout: LAYOUT,
        data: data.unwrap_or_default(),
        attempt: count(attempts).saturating_add(1),
        crashes: count(crashes),
        redelivered,
        options: Options {
            attempts: Some(max_attempts).filter(|max| *max != STOCK_ATTEMPTS),
            ..Options::default()
        },
        lease: Lease::clone(lease),
    }
}

/// The `max_attempts` that a stock push writes when the producer set none.
const STOCK_ATTEMPTS: u32 = 25;

impl ApalisQueue {
    /// When a job was created, if its id says so: a stock push makes ULIDs. Otherwise, or if that is later than its first
    /// claim, the time of that claim stands in, which never changes either.
    pub(in crate::queue) fn created_ms(id: &str, first_claimed: i64) -> i64 {
        let made = id.parse().ok().and_then(|id: Ulid| i64::try_from(id.timestamp_ms()).ok());
        made.filter(|made| *made <= first_claimed).unwrap_or(first_claimed)
    }
}
