//! Counts the jobs of a queue by state.

use redis::RedisResult;

use super::BullQueue;
use crate::queue::Counts;

pub(super) async fn count(queue: &BullQueue) -> RedisResult<Counts> {
    let keys = &queue.keys;
    let (waiting, paused, delayed, active, dead): (u64, u64, u64, u64, u64) = redis::pipe()
        .llen(&keys.wait)
        .llen(&keys.paused)
        .zcard(&keys.delayed)
        .llen(&keys.active)
        .zcard(&keys.failed)
        .query_async(&mut queue.redis())
        .await?;
    Ok(Counts { waiting: waiting + paused, delayed, active, dead })
}
