//! Takes back stalled jobs.

use std::sync::LazyLock;

use redis::{RedisResult, Script};

use super::BullQueue;

/// Checks in a lease.
const CHECKS: u32 = 5;

static RESCUE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("rescue.lua")));

/// A job that is active at two checks must have lost its lock in between: so a check is due more than once in a lease.
/// Often, for what a dead process held is to be back soon after its locks have run out.
pub(super) async fn rescue(queue: &BullQueue) -> RedisResult<usize> {
    let keys = &queue.keys;
    let mut call = RESCUE.prepare_invoke();
    for key in [&keys.stalled, &keys.wait, &keys.active, &keys.stalled_check, &keys.meta_paused, &keys.paused]
    {
        call.key(key);
    }
    call.arg(&keys.prefix).arg((queue.lease / CHECKS).as_millis());
    call.invoke_async(&mut queue.redis()).await
}
