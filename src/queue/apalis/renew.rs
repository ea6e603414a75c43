//! Renews leases.

use std::sync::LazyLock;

use redis::{RedisResult, Script};

use super::ApalisQueue;
use crate::queue::{Lease, spoilt::invoke};

static RENEW: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("../types.lua"), include_str!("renew.lua"))));

pub(super) async fn renew(queue: &ApalisQueue, held: &[(String, Lease)]) -> RedisResult<Vec<bool>> {
    let mut call = RENEW.prepare_invoke();
    call.key(&queue.keys.leases).arg(&queue.keys.meta).arg(queue.lease.as_millis());
    for (id, lease) in held {
        call.arg(id).arg(&**lease);
    }
    invoke(&call, &mut queue.redis()).await
}
