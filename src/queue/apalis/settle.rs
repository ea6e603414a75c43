//! Ends claims, and logs their outcomes in the same step.

use std::{borrow::Cow, sync::LazyLock};

use redis::{RedisResult, Script};

use super::ApalisQueue;
use crate::queue::{
    Settled, Settlement, Verdict,
    log::{APPEND, Row, settled},
    spoilt::invoke,
};

static SETTLE: LazyLock<Script> = LazyLock::new(|| {
    let settle = concat!(include_str!("../warnings.lua"), include_str!("settle.lua"));
    Script::new(&[APPEND, super::burying!(""), settle].concat())
});

pub(super) async fn settle(queue: &ApalisQueue, batch: &[Settlement]) -> RedisResult<Vec<Settled>> {
    let keys = &queue.keys;
    let mut call = SETTLE.prepare_invoke();
    call.key(&keys.active).key(&keys.scheduled).key(&keys.data).key(&keys.leases);
    call.key(&keys.places).key(&keys.old_places).key(&keys.places_since);
    call.arg(&keys.meta).arg(queue.name);
    queue.log.args(&mut call);
    queue.letters.tell(&mut call);
    call.key(&keys.counted);
    for Settlement { id, lease, verdict, outcome, .. } in batch {
        let (verdict, argument) = match verdict {
            // This layout keeps nothing of a job that is over.
            Verdict::Done | Verdict::Fail(_) => ("done", Cow::Borrowed("")),
            Verdict::Retry(pause, error) => ("retry", format!("{} {error}", pause.as_millis()).into()),
            Verdict::Bury(reason) => ("bury", reason.into()),
            Verdict::Release => ("release", Cow::Borrowed("")),
            Verdict::Postpone(pause) => ("postpone", pause.as_millis().to_string().into()),
        };
        let (user, profile) = queue.log.kept(outcome.as_ref());
        call.arg(id).arg(&**lease).arg(verdict).arg(&*argument).arg(user).arg(profile);
    }
    let rows: Vec<Row> = invoke(&call, &mut queue.redis()).await?;
    Ok(settled(rows, &queue.letters))
}
