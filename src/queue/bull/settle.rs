//! Ends claims: moves jobs to completed, failed or delayed, or back to wait.

use std::{borrow::Cow, sync::LazyLock};

use redis::{RedisResult, Script};

use super::BullQueue;
use crate::queue::{
    Keep, Settled, Settlement, Verdict,
    log::{APPEND, Row, settled},
    spoilt::invoke,
};

static SETTLE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        &[
            APPEND,
            include_str!("../letters/trim.lua"),
            include_str!("../letters/write.lua"),
            include_str!("bury.lua"),
            include_str!("heard.lua"),
            include_str!("../types.lua"),
            include_str!("../warnings.lua"),
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
        let (user, kept) = queue.log.kept(outcome.as_ref());
        let profile = outcome.as_ref().map_or("null", |outcome| outcome.profile.get());
        let (verdict, value) = match verdict {
            Verdict::Done if options.keep_done == Keep::Nothing && !options.debounced => {
                (Cow::Borrowed("removed"), profile)
            }
            Verdict::Done => (ended("completed", options.keep_done), profile),
            Verdict::Bury(reason) => (ended("failed", options.keep_failed), reason.as_str()),
            Verdict::Fail(reason) => (ended("refused", options.keep_failed), reason.as_str()),
            Verdict::Retry(pause, reason) => {
                let push = if options.lifo { "RPUSH" } else { "LPUSH" };
                (format!("retry {}/{push}", pause.as_millis()).into(), reason.as_str())
            }
            Verdict::Release => ("release".into(), ""),
            Verdict::Postpone(pause) => (format!("postpone {}", pause.as_millis()).into(), ""),
        };
        // What the user is told is usually the value returned: a large one goes to Redis only once.
        let told = if std::ptr::eq(kept, value) { "" } else { kept };
        call.arg(id).arg(&**lease).arg(&*verdict).arg(value).arg(user).arg(told);
    }
    let rows: Vec<Row> = invoke(&call, &mut queue.redis()).await?;
    Ok(settled(rows, &queue.letters))
}

/// How a job ends, and how many that ended so are kept, for how many seconds: `completed N/S`, either may be empty.
fn ended(how: &str, keep: Keep) -> Cow<'static, str> {
    let (count, age_s) = match keep {
        Keep::All => (None, None),
        Keep::Nothing => (Some(0), None),
        Keep::Some { count, age_s } => (count, age_s),
    };
    let number = |n: Option<u32>| n.map_or(String::new(), |n| n.to_string());
    format!("{how} {}/{}", number(count), number(age_s)).into()
}
