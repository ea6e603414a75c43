//! Takes back stalled jobs.

use std::sync::LazyLock;

use redis::{RedisResult, Script};

use super::BullQueue;
use crate::queue::spoilt::invoke;

/// Checks per lease.
const CHECKS: u32 = 5;

static RESCUE: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("../types.lua"), include_str!("rescue.lua"))));

/// A job that one check finds active is taken back by the next, if its lock is gone by then: so a check is due more than
/// once per lease. It is due often, so that what a dead process held is back soon after its locks expire.
pub(super) async fn rescue(queue: &BullQueue) -> RedisResult<usize> {
    let keys = &queue.keys;
    let mut call = RESCUE.prepare_invoke();
    for key in [&keys.stalled, &keys.wait, &keys.active, &keys.stalled_check, &keys.meta_paused, &keys.paused]
    {
        call.key(key);
    }
    call.arg(&keys.prefix).arg((queue.lease / CHECKS).as_millis());
    invoke(&call, &mut queue.redis()).await
}
