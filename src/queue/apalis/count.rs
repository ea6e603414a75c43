//! Counts the jobs of a queue by state.

use redis::RedisResult;

use super::ApalisQueue;
use crate::queue::{Counts, spoilt::numbers};

pub(super) async fn count(queue: &ApalisQueue) -> RedisResult<Counts> {
    let keys = &queue.keys;
    let mut redis = queue.redis();
    let (seconds, micros): (u64, u64) = redis::cmd("TIME").query_async(&mut redis).await?;
    let oldest = queue.letters.oldest((seconds, micros));
    let now = format!("{seconds}.{micros:06}");
    let mut pipe = redis::pipe();
    pipe.llen(&keys.active)
        .zcount(&keys.scheduled, "-inf", &now)
        .zcount(&keys.scheduled, format!("({now}"), "+inf")
        .zcard(&keys.leases)
        .zcount(&queue.letters.set, oldest, "+inf");
    let [listed, due, later, active, dead] = numbers(&mut pipe, &mut redis).await?;
    Ok(Counts { waiting: listed + due, delayed: later, active, dead, paused: false })
}
