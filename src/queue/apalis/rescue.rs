//! Takes back jobs whose lease has expired.

use std::sync::LazyLock;

use redis::{RedisResult, Script};

use super::ApalisQueue;
use crate::queue::spoilt::invoke;

static RESCUE: LazyLock<Script> = LazyLock::new(|| Script::new(super::burying!(include_str!("rescue.lua"))));

/// The most jobs in one call of the script.
const BATCH: usize = 500;

pub(super) async fn rescue(queue: &ApalisQueue) -> RedisResult<usize> {
    let mut total = 0;
    loop {
        let mut call = RESCUE.prepare_invoke();
        let keys = &queue.keys;
        call.key(&keys.active).key(&keys.leases).key(&keys.data);
        call.key(&keys.places).key(&keys.old_places).key(&keys.places_since);
        call.arg(&keys.meta).arg(BATCH).arg(queue.log.ttl_ms());
        queue.letters.tell(&mut call);
        call.key(&keys.counted);
        let rescued: usize = invoke(&call, &mut queue.redis()).await?;
        total += rescued;
        if rescued < BATCH {
            return Ok(total);
        }
    }
}
