//! Ends claims: to completed, failed, delayed, or back to wait.

use std::{sync::LazyLock, time::Duration};

use redis::{RedisResult, Script};

use super::BullQueue;
use crate::queue::{
    Keep, Options, Settled, Settlement, Verdict,
    log::{APPEND, Row, settled},
};

static SETTLE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        &[
            APPEND,
            include_str!("../letters/trim.lua"),
            include_str!("../letters/write.lua"),
            include_str!("bury.lua"),
            include_str!("settle.lua"),
        ]
        .concat(),
    )
});

pub(super) async fn settle(queue: &BullQueue, batch: &[Settlement]) -> RedisResult<Vec<Settled>> {
    let keys = &queue.keys;
    let mut call = SETTLE.prepare_invoke();
    for key in [&keys.wait, &keys.active, &keys.delayed, &keys.priority, &keys.paused, &keys.meta_paused] {
        call.key(key);
    }
    call.key(&keys.stalled).key(&keys.completed).key(&keys.failed).arg(&keys.prefix).arg(queue.name);
    queue.log.args(&mut call);
    queue.letters.tell(&mut call);
    for Settlement { id, lease, verdict, options, outcome } in batch {
        let Options { keep_done, keep_failed, lifo, .. } = *options;
        let (verdict, pause, value, keep) = match verdict {
            Verdict::Done => {
                let profile = outcome.as_ref().map_or("null", |outcome| outcome.profile.get());
                ("completed", Duration::ZERO, profile, keep_done)
            }
            Verdict::Bury(reason) => ("failed", Duration::ZERO, reason.as_str(), keep_failed),
            Verdict::Retry(pause, reason) => ("retry", *pause, reason.as_str(), Keep::All),
            Verdict::Release => ("release", Duration::ZERO, "", Keep::All),
        };
        let (count, age) = match keep {
            Keep::All => (None, None),
            Keep::Nothing => (Some(0), None),
            Keep::Some { count, age_s } => (count, age_s),
        };
        let number = |n: Option<u32>| n.map_or(String::new(), |n| n.to_string());
        call.arg(id).arg(&**lease).arg(verdict).arg(pause.as_millis()).arg(value);
        call.arg(number(count)).arg(number(age)).arg(if lifo { "RPUSH" } else { "LPUSH" });
        let (user, profile) = queue.log.kept(outcome.as_ref());
        call.arg(user).arg(profile);
    }
    let rows: Vec<Row> = call.invoke_async(&mut queue.redis()).await?;
    Ok(rows.into_iter().map(settled).collect())
}
