//! Ends claims, and keeps outcomes in the same step.

use std::sync::LazyLock;

use redis::{RedisResult, Script};

use super::ApalisQueue;
use crate::queue::{Settlement, Verdict};

static SETTLE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("settle.lua")));

pub(super) async fn settle(queue: &ApalisQueue, batch: &[Settlement]) -> RedisResult<Vec<bool>> {
    let keys = &queue.keys;
    let mut call = SETTLE.prepare_invoke();
    call.key(&keys.active).key(&keys.scheduled).key(&keys.data).key(&keys.leases).key(&keys.dead);
    call.arg(&keys.meta).arg(&keys.outcome).arg(queue.outcome_ttl.as_millis()).arg(&keys.large);
    for Settlement { id, lease, verdict, outcome, .. } in batch {
        let (verdict, argument) = match verdict {
            Verdict::Done => ("done", String::new()),
            Verdict::Retry(pause, _) => ("retry", pause.as_millis().to_string()),
            Verdict::Bury(reason) => ("bury", reason.clone()),
            Verdict::Release => ("release", String::new()),
        };
        let (user, profile) = outcome.as_ref().map_or(("", ""), |o| (o.user.as_str(), o.kept()));
        call.arg(id).arg(&**lease).arg(verdict).arg(argument).arg(user).arg(profile);
    }
    call.invoke_async(&mut queue.redis()).await
}
