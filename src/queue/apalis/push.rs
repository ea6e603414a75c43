//! Adds a job, as the stock storage does.

use std::{sync::LazyLock, time::Duration};

use redis::{RedisResult, Script};

use super::ApalisQueue;
use crate::queue::{KEY_TTL, Push, Pushed, Quota, quota::KEPT, spoilt::invoke};

static PUSH: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("../types.lua"), include_str!("push.lua"))));

pub(super) async fn push(queue: &ApalisQueue, Push { data, user, key }: Push<'_>) -> RedisResult<Pushed> {
    let keys = &queue.keys;
    let quota = &queue.quota;
    let id = queue.ids.next();
    let user = user.unwrap_or_default();
    let mut call = PUSH.prepare_invoke();
    call.key(&keys.scheduled).key(&keys.data).key(format!("{}{id}", keys.meta));
    call.key(format!("{}{user}", keys.quota)).key(&keys.counted);
    call.arg(&id).arg(data).arg(KEPT.as_millis()).arg(user);
    call.arg(quota.jobs_waiting)
        .arg(quota.bytes_waiting)
        .arg(quota.jobs_per_second)
        .arg(quota.idempotency_keys);
    if let Some(key) = key {
        call.key(format!("{}{}", keys.once, key.name)).arg(&key.fingerprint).arg(KEY_TTL.as_millis());
    }
    let (standing, over, left, wait): (String, String, i64, u64) = invoke(&call, &mut queue.redis()).await?;
    if let Some(quota) = Quota::of(&over) {
        return Ok(Pushed::Over { quota, wait: (wait > 0).then(|| Duration::from_millis(wait)) });
    }
    Ok(match standing {
        same if same == id => Pushed::Added { id, left: left.try_into().ok() },
        none if none.is_empty() => Pushed::KeyTaken,
        before => Pushed::Before(before),
    })
}
