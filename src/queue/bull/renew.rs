//! Renews locks.

use std::sync::LazyLock;

use redis::{RedisResult, Script};

use super::BullQueue;
use crate::queue::{Lease, spoilt::invoke};

static RENEW: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("../types.lua"), include_str!("renew.lua"))));

pub(super) async fn renew(queue: &BullQueue, held: &[(String, Lease)]) -> RedisResult<Vec<bool>> {
    let mut call = RENEW.prepare_invoke();
    call.key(&queue.keys.stalled).arg(&queue.keys.prefix).arg(queue.lease.as_millis());
    for (id, lease) in held {
        call.arg(id).arg(&**lease);
    }
    invoke(&call, &mut queue.redis()).await
}
