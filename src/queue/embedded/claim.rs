//! Leases jobs that are due.

use std::time::Duration;

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{EmbeddedQueue, LAYOUT, millis, now_ms};
use crate::queue::{Claim, Job, Lease, Options, QueueError, Room};

pub(super) async fn claim(queue: &EmbeddedQueue, lease: &Lease, room: Room) -> Result<Claim, QueueError> {
    let (name, bytes, lease, now) = (queue.name, queue.claim_bytes, Lease::clone(lease), now_ms());
    let until = now + millis(queue.lease);
    let work = move |tx: &Transaction<'_>| {
        let (jobs, suspect) = due(tx, name, now, &lease, (room, bytes))?;
        let mut update = tx.prepare_cached(
            "UPDATE jobs SET state = 'active', claimed = ?, lease = ?, lease_until = ? WHERE queue = ? AND id = ?",
        )?;
        for job in &jobs {
            update.execute(params![now, &*lease, until, name, job.id])?;
        }
        let next_due = if jobs.is_empty() { next_due(tx, name, now)? } else { None };
        Ok(Claim { jobs, broken: Vec::new(), next_due, suspect, paused: false })
    };
    Ok(queue.file.transaction(work).await?)
}

/// The jobs that are due, up to the first suspect or `most_bytes`; and whether the very first is a suspect left out.
fn due(
    tx: &Transaction<'_>,
    name: &'static str,
    now: i64,
    lease: &Lease,
    (room, most_bytes): (Room, usize),
) -> rusqlite::Result<(Vec<Job>, bool)> {
    let many = "SELECT EXISTS (SELECT 1 FROM jobs WHERE queue = ? AND state = 'waiting' AND due <= ? LIMIT 1 OFFSET ?)";
    let [max, newest] = [room.jobs, room.newest].map(|jobs| i64::try_from(jobs).unwrap_or(i64::MAX));
    let many: bool =
        tx.prepare_cached(many)?.query_row(params![name, now, max.saturating_mul(2)], |row| row.get(0))?;
    let newest = if many { newest } else { 0 };
    let (mut jobs, mut bytes) = (Vec::new(), 0);
    for (select, most) in [(OLDEST, max - newest), (NEWEST, newest)] {
        let mut select = tx.prepare_cached(select)?;
        let mut rows = select.query(params![name, now, most])?;
        while let Some(row) = rows.next()? {
            let job = job(row, name, lease, now)?;
            let suspect = job.is_suspect();
            if suspect && !(room.alone && jobs.is_empty()) {
                let first = jobs.is_empty();
                return Ok((jobs, first));
            }
            bytes += job.data.len();
            jobs.push(job);
            if suspect || bytes >= most_bytes {
                return Ok((jobs, false));
            }
        }
    }
    Ok((jobs, false))
}

const OLDEST: &str = "SELECT id, data, created, attempts, crashes, claimed FROM jobs
    WHERE queue = ? AND state = 'waiting' AND due <= ? ORDER BY due, seq LIMIT ?";

const NEWEST: &str = "SELECT id, data, created, attempts, crashes, claimed FROM jobs
    WHERE queue = ? AND state = 'waiting' AND due <= ? ORDER BY due DESC, seq DESC LIMIT ?";

fn job(row: &Row<'_>, queue: &'static str, lease: &Lease, now: i64) -> rusqlite::Result<Job> {
    Ok(Job {
        id: row.get(0)?,
        queue,
        layout: LAYOUT,
        data: row.get(1)?,
        created_ms: row.get(2)?,
        claimed_ms: now,
        attempt: row.get::<_, u32>(3)? + 1,
        crashes: row.get(4)?,
        redelivered: row.get(5)?,
        options: Options::default(),
        lease: Lease::clone(lease),
    })
}

fn next_due(tx: &Transaction<'_>, name: &str, now: i64) -> rusqlite::Result<Option<Duration>> {
    let select = "SELECT due FROM jobs WHERE queue = ? AND state = 'waiting' ORDER BY due LIMIT 1";
    let due: Option<i64> = tx.prepare_cached(select)?.query_row([name], |row| row.get(0)).optional()?;
    Ok(due.map(|due| Duration::from_millis(u64::try_from(due - now).unwrap_or(0))))
}
