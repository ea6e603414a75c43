//! Renews leases.

use std::sync::LazyLock;

use redis::{RedisResult, Script};

use super::ApalisQueue;
use crate::queue::Lease;

static RENEW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("renew.lua")));

pub(super) async fn renew(queue: &ApalisQueue, held: &[(String, Lease)]) -> RedisResult<Vec<bool>> {
    let mut call = RENEW.prepare_invoke();
    call.key(&queue.keys.leases).arg(&queue.keys.meta).arg(queue.lease.as_millis());
    for (id, lease) in held {
        call.arg(id).arg(&**lease);
    }
    call.invoke_async(&mut queue.redis()).await
}
