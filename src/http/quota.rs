//! Quotas over HTTP: 429 for what is over one, and how much is left, in the fields `RateLimit` of the IETF draft.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::http::{HeaderName, HeaderValue, header};

use super::problem::Problem;
use crate::{
    config,
    queue::{BURST_SECONDS, Quota},
};

/// The header that tells the quotas.
pub(super) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The header that tells what is left of them.
pub(super) const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// What a client waits, in seconds, when nobody knows how long it takes until there is room.
const SOON: u64 = 5;

type Headers = Vec<(HeaderName, HeaderValue)>;

/// What is left of a quota, for so many seconds.
fn headers(limits: &config::Quota, quota: Quota, left: u64, seconds: u64) -> Headers {
    let name = quota.as_str();
    let policy = match quota {
        Quota::JobsWaiting => format!("\"{name}\";q={}", limits.jobs_waiting),
        Quota::BytesWaiting => format!("\"{name}\";q={};qu=\"content-bytes\"", limits.bytes_waiting),
        Quota::JobsPerSecond => {
            let burst = u64::from(limits.jobs_per_second) * u64::from(BURST_SECONDS);
            format!("\"{name}\";q={burst};w={BURST_SECONDS}")
        }
        Quota::IdempotencyKeys => format!("\"{name}\";q={};w=86400", limits.idempotency_keys),
        Quota::Waits => format!("\"{name}\";q={};qu=\"concurrent-requests\"", limits.waits),
    };
    let left = format!("\"{name}\";r={left};t={seconds}");
    [(POLICY, policy), (LEFT, left)]
        .into_iter()
        .filter_map(|(header, value)| Some((header, HeaderValue::from_str(&value).ok()?)))
        .collect()
}

/// What is left of a user's jobs per second, if they are limited.
pub(super) fn left(limits: &config::Quota, left: Option<u64>) -> axum::response::AppendHeaders<Headers> {
    let left = left.map(|left| headers(limits, Quota::JobsPerSecond, left, BURST_SECONDS.into()));
    axum::response::AppendHeaders(left.unwrap_or_default())
}

/// The answer to a request that is over a quota: 429. There may be room after `wait`, if that is known.
pub(super) fn over(limits: &config::Quota, quota: Quota, wait: Option<Duration>) -> Problem {
    let seconds = wait.map_or(SOON, |wait| u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(SOON));
    let mut headers = headers(limits, quota, 0, seconds);
    headers.push((header::RETRY_AFTER, seconds.into()));
    let what = match quota {
        Quota::JobsWaiting => format!("{} of your jobs wait already", limits.jobs_waiting),
        Quota::BytesWaiting => {
            format!("your jobs that wait would have more than {} bytes", limits.bytes_waiting)
        }
        Quota::JobsPerSecond => format!("you sent more than {} jobs per second", limits.jobs_per_second),
        Quota::IdempotencyKeys => format!("you used {} idempotency keys in a day", limits.idempotency_keys),
        Quota::Waits => format!("{} of your requests wait for outcomes already", limits.waits),
    };
    let again = if quota == Quota::JobsWaiting || quota == Quota::BytesWaiting {
        "try again when some of them are done".to_owned()
    } else {
        format!("try again in {seconds} s")
    };
    Problem::too_many(format!("{what} (quota.{}); {again}", quota.as_str()), headers)
}

/// How many requests of each user wait for an outcome, here: they hold connections of this process.
#[derive(Clone, Default)]
pub struct Waits(Arc<Mutex<HashMap<String, u32>>>);

/// A request that waits.
pub(super) struct Waiting {
    waits: Waits,
    user: String,
}

impl Waits {
    /// Counts a request of `user` until the result is dropped.
    ///
    /// # Errors
    /// 429 when the user has as many already as there may be.
    pub(super) fn enter(&self, limits: &config::Quota, user: &str) -> Result<Waiting, Problem> {
        let mut waiting = self.lock();
        let count = waiting.entry(user.to_owned()).or_default();
        if limits.waits > 0 && *count >= limits.waits {
            return Err(over(limits, Quota::Waits, None));
        }
        *count += 1;
        Ok(Waiting { waits: self.clone(), user: user.to_owned() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = self.waits.lock();
        if let Some(count) = waiting.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.user);
            }
        }
    }
}
