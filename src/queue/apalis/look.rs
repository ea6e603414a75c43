//! Looks up one job.

use super::ApalisQueue;
use crate::{
    outcome::Outcome,
    queue::{Look, State, log::Seq},
};
use redis::RedisResult;

/// Data, status in `meta`, time in `scheduled`, place in `places` and in `old_places`, the time now, data of a dead letter.
type Row = (
    Option<Vec<u8>>,
    Option<String>,
    Option<f64>,
    Option<String>,
    Option<String>,
    (u64, u64),
    Option<Vec<u8>>,
);

pub(super) async fn look(queue: &ApalisQueue, id: &str) -> RedisResult<Option<Look>> {
    let keys = &queue.keys;
    let mut redis = queue.redis();
    let (data, status, due, place, old_place, (seconds, micros), dead): Row = redis::pipe()
        .hget(&keys.data, id)
        .hget(format!("{}{id}", keys.meta), "status")
        .zscore(&keys.scheduled, id)
        .hget(&keys.places, id)
        .hget(&keys.old_places, id)
        .cmd("TIME")
        .hget(queue.letters.letter(id), "data")
        .query_async(&mut redis)
        .await?;
    let place = place.or(old_place).and_then(|place| {
        let (seq, user) = place.split_once(' ')?;
        Some((seq.parse().ok()?, user.to_owned()))
    });
    let now = Seq::try_from(seconds * 1_000_000 + micros).unwrap_or(Seq::MAX);
    let outcome = match place.filter(|(seq, _)| queue.log.keeps(*seq, now)) {
        None => None,
        Some((seq, user)) => match queue.log.entry(&mut redis, &user, seq).await? {
            Some(entry) => Some(Outcome { user, profile: entry.profile }),
            None => Outcome::resync(user).ok(),
        },
    };
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^52")]
    let later = due.is_some_and(|due| due > seconds as f64 + 1.0);
    let state = match (&data, status.as_deref()) {
        (None, _) if dead.is_some() => State::Failed,
        (None, _) if outcome.is_some() => State::Done,
        (None, _) => return Ok(None),
        (Some(_), Some("Running")) => State::Active,
        (Some(_), _) if later => State::Delayed,
        (Some(_), _) => State::Waiting,
    };
    // A job that waits or runs may have been redriven: what its user was told before is no longer its outcome.
    let outcome = outcome.filter(|_| matches!(state, State::Done | State::Failed));
    Ok(Some(Look { state, data: data.or(dead), outcome }))
}
