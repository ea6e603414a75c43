//! Adds a job, as the stock storage does.

use std::sync::LazyLock;

use redis::{RedisResult, Script, ScriptInvocation};

use super::ApalisQueue;
use crate::queue::{KEY_TTL, OnceKey, Pushed};

static PUSH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("push.lua")));

pub(super) async fn push(queue: &ApalisQueue, data: Vec<u8>) -> RedisResult<String> {
    job(queue, &queue.ids.next(), data).invoke_async(&mut queue.redis()).await
}

pub(super) async fn push_once(queue: &ApalisQueue, data: Vec<u8>, key: &OnceKey) -> RedisResult<Pushed> {
    let id = queue.ids.next();
    let mut call = job(queue, &id, data);
    call.key(format!("{}{}", queue.keys.once, key.name)).arg(&key.fingerprint).arg(KEY_TTL.as_millis());
    let standing: String = call.invoke_async(&mut queue.redis()).await?;
    Ok(match standing {
        same if same == id => Pushed::Added(id),
        none if none.is_empty() => Pushed::KeyTaken,
        before => Pushed::Before(before),
    })
}

/// A call of the script with the job alone, without an idempotency key.
fn job(queue: &ApalisQueue, id: &str, data: Vec<u8>) -> ScriptInvocation<'static> {
    let keys = &queue.keys;
    let mut call = PUSH.prepare_invoke();
    call.key(&keys.scheduled).key(&keys.data).key(format!("{}{id}", keys.meta)).arg(id).arg(data);
    call
}
