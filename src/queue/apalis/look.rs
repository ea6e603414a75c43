//! Looks at one job.

use redis::RedisResult;
use serde_json::value::RawValue;

use super::ApalisQueue;
use crate::{
    outcome::Outcome,
    queue::{Look, State},
};

/// Data, status in `meta`, time in `scheduled`, outcome.
type Row = (Option<Vec<u8>>, Option<String>, Option<f64>, (Option<String>, Option<String>), (u64, u64));

pub(super) async fn look(queue: &ApalisQueue, id: &str) -> RedisResult<Option<Look>> {
    let keys = &queue.keys;
    let (data, status, due, (user, profile), (seconds, _)): Row = redis::pipe()
        .hget(&keys.data, id)
        .hget(format!("{}{id}", keys.meta), "status")
        .zscore(&keys.scheduled, id)
        .hmget(format!("{}{id}", keys.outcome), &["user", "profile"])
        .cmd("TIME")
        .query_async(&mut queue.redis())
        .await?;
    let outcome = user.zip(profile).and_then(|(user, profile)| {
        RawValue::from_string(profile).ok().map(|profile| Outcome { user, profile })
    });
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^52")]
    let later = due.is_some_and(|due| due > seconds as f64 + 1.0);
    let state = match (&data, status.as_deref()) {
        (None, _) if outcome.is_some() => State::Done,
        (None, _) => return Ok(None),
        (Some(_), Some("Killed")) => State::Failed,
        (Some(_), Some("Running")) => State::Active,
        (Some(_), _) if later => State::Delayed,
        (Some(_), _) => State::Waiting,
    };
    Ok(Some(Look { state, data, outcome }))
}
