//! Locks jobs that are due.

use std::{sync::LazyLock, time::Duration};

use redis::{RedisResult, Script};

use super::{BullQueue, LAYOUT, options};
use crate::queue::{
    Claim, Job, Lease, Room,
    field::{Field, count, number},
    spoilt::invoke,
};

static CLAIM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("../is_text.lua"),
        include_str!("heard.lua"),
        include_str!("../types.lua"),
        include_str!("claim.lua"),
    ))
});

/// Data, opts, attemptsMade, timestamp, stalledCounter, something if it was claimed before, retriedOn, id. Bull writes
/// numbers, but producers may write anything.
type Row = (Field, Field, Field, Field, Field, Field, Field, String);

/// Jobs, broken ids, ms until the next job is due or -1, now in ms, whether a suspect is next, whether the queue is paused.
type Reply = (Vec<Row>, Vec<Vec<u8>>, i64, i64, bool, bool);

/// The end of the year 9999: no later time can be written in ISO 8601.
const LAST_MS: u64 = 253_402_300_799_999;

pub(super) async fn claim(queue: &BullQueue, lease: &Lease, room: Room) -> RedisResult<Claim> {
    let (keys, long) = (&queue.keys, queue.long.expected());
    let mut call = CLAIM.prepare_invoke();
    call.key(&keys.wait)
        .key(&keys.active)
        .key(&keys.delayed)
        .key(&keys.priority)
        .key(&keys.paused)
        .key(&keys.meta_paused)
        .key(&keys.claim)
        .key(&queue.letters.set)
        .key(&keys.completed)
        .key(&keys.failed)
        .key(&keys.stalled)
        .key(&keys.stalled_check)
        .key(&keys.repeat)
        .key(&keys.limiter)
        .arg(&**lease)
        .arg(room.jobs)
        .arg(queue.claim_bytes)
        .arg(queue.lease.as_millis())
        .arg(&keys.prefix)
        .arg(room.newest)
        .arg(room.alone)
        .arg(&queue.letters.prefix)
        .arg(long);
    let reply: Reply = invoke(&call, &mut queue.redis()).await?;
    queue.long.fill(long, claimed(queue.name, reply, lease), async |jobs| read(queue, jobs).await).await
}

/// What the script's reply says.
pub(in crate::queue) fn claimed(queue: &'static str, reply: Reply, lease: &Lease) -> Claim {
    let (rows, broken, next_due, now, suspect, paused) = reply;
    let mut options = options::Reader::default();
    Claim {
        jobs: rows.into_iter().map(|row| job(queue, row, lease, now, &mut options)).collect(),
        broken: broken.iter().map(|id| String::from_utf8_lossy(id).into_owned()).collect(),
        next_due: u64::try_from(next_due).ok().map(Duration::from_millis),
        suspect,
        paused,
    }
}

/// Reads the data that the script left out.
async fn read(queue: &BullQueue, jobs: &[Job]) -> RedisResult<Vec<Field>> {
    let mut reads = redis::pipe();
    for job in jobs {
        reads.hget(format!("{}{}", queue.keys.prefix, job.id), "data");
    }
    reads.query_async(&mut queue.redis()).await
}

fn job(queue: &'static str, row: Row, lease: &Lease, now: i64, options: &mut options::Reader) -> Job {
    let (data, opts, attempts_made, timestamp, stalled, claimed_before, _, id) = row;
    let attempt = count(attempts_made).saturating_add(1);
    Job {
        id,
        queue,
        layout: LAYOUT,
        data: data.unwrap_or_default(),
        // Without a time that can be read, one that never changes: a second run must create the same character.
        created_ms: number::<u64>(timestamp).filter(|ms| *ms <= LAST_MS).map_or(0, u64::cast_signed),
        claimed_ms: now,
        attempt,
        crashes: count(stalled),
        redelivered: claimed_before.is_some(),
        options: options.read(opts.unwrap_or_default(), attempt),
        lease: Lease::clone(lease),
    }
}
