//! Counts the jobs of a queue by state.

use redis::RedisResult;

use super::BullQueue;
use crate::queue::{Counts, spoilt::numbers};

pub(super) async fn count(queue: &BullQueue) -> RedisResult<Counts> {
    let keys = &queue.keys;
    let mut redis = queue.redis();
    let oldest = queue.letters.oldest(redis::cmd("TIME").query_async(&mut redis).await?);
    let mut pipe = redis::pipe();
    pipe.llen(&keys.wait).llen(&keys.paused).zcard(&keys.delayed).llen(&keys.active);
    pipe.zcount(&queue.letters.set, oldest, "+inf").exists(&keys.meta_paused);
    let [waiting, put_off, delayed, active, dead, paused] = numbers(&mut pipe, &mut redis).await?;
    Ok(Counts { waiting: waiting + put_off, delayed, active, dead, paused: paused > 0 })
}
