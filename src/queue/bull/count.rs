//! Counts the jobs of a queue by state.

use redis::RedisResult;

use super::BullQueue;
use crate::queue::Counts;

pub(super) async fn count(queue: &BullQueue) -> RedisResult<Counts> {
    let keys = &queue.keys;
    let mut redis = queue.redis();
    let oldest = queue.letters.oldest(redis::cmd("TIME").query_async(&mut redis).await?);
    let (waiting, paused, delayed, active, dead): (u64, u64, u64, u64, u64) = redis::pipe()
        .llen(&keys.wait)
        .llen(&keys.paused)
        .zcard(&keys.delayed)
        .llen(&keys.active)
        .zcount(&queue.letters.set, oldest, "+inf")
        .query_async(&mut redis)
        .await?;
    Ok(Counts { waiting: waiting + paused, delayed, active, dead })
}
