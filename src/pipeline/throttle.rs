//! Puts off jobs of a user who has more than may run per second, so that the queue goes on with those of others.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    auth::Caller,
    queue::{BURST_SECONDS, Job},
};

/// So many users are remembered before those who have been quiet are forgotten.
const MANY: usize = 10_000;

/// A turn for each job of each user, at an even pace; several at once for who has been quiet.
pub(super) struct Throttle {
    each: Option<Duration>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the next turn of a user would be at an even pace.
    next: HashMap<String, Instant>,
    /// How many users to remember before some are forgotten.
    most: usize,
}

impl Throttle {
    /// `per_second` jobs for each user; 0 is no limit.
    pub(super) fn new(per_second: u32) -> Self {
        let each = (per_second > 0).then(|| Duration::from_secs(1) / per_second);
        Self { each, state: Mutex::new(State { most: MANY, ..State::default() }) }
    }

    /// How long a job is put off, if its caller has too many. It is put off only once: then it has its turn.
    pub(super) fn put_off(&self, caller: &Caller, job: &Job) -> Option<Duration> {
        let is_new = !job.redelivered && job.attempt == 1 && job.crashes == 0;
        if is_new { self.turn(caller.user(), Instant::now()) } else { None }
    }

    /// Gives a job of `user` its turn; returns how long until then, if it is not now. Each job asks once: the turns of one user
    /// come in the order in which they were given.
    fn turn(&self, user: &str, now: Instant) -> Option<Duration> {
        let each = self.each?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.next.len() >= state.most {
            state.next.retain(|_, next| *next > now);
            state.most = MANY.max(state.next.len() * 2);
        }
        let next = match state.next.get_mut(user) {
            Some(next) => next,
            None => state.next.entry(user.to_owned()).or_insert(now),
        };
        *next = (*next).max(now) + each;
        let burst = Duration::from_secs(BURST_SECONDS.into());
        Some(next.saturating_duration_since(now + burst)).filter(|wait| !wait.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jobs_of_one_user_get_their_turns_in_order_and_those_of_others_at_once() {
        let throttle = Throttle::new(2);
        let now = Instant::now();
        let waits: Vec<_> = (0..23).filter_map(|_| throttle.turn("ada", now)).collect();
        assert_eq!(waits, [500, 1000, 1500].map(Duration::from_millis));
        assert_eq!(throttle.turn("bob", now), None);
        let later = now + Duration::from_secs(12);
        assert_eq!(throttle.turn("ada", later), None, "there is room again");
        assert!((0..100).all(|_| Throttle::new(0).turn("ada", now).is_none()), "no limit");
    }
}
