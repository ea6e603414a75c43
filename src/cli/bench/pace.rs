//! Jobs that come at a steady rate, whether the service keeps up or not.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread::sleep,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use redis::{Client, Commands, ConnectionInfo, Pipeline};
use tokio_util::sync::CancellationToken;

use super::{
    CliError,
    backlog::{BullKeys, options},
    job::Jobs,
};

/// How many jobs go to Redis at a time when the producer is late.
const AT_A_TIME: usize = 200;

/// When each job is due, and how long after that its outcome was heard. A delay of the producer, caused by the machine
/// or by Redis, counts: a user would wait as well. The users take turns, so that one user's outcomes come in the order
/// of that user's jobs.
pub(super) struct Pace {
    rate: f64,
    users: usize,
    start: OnceLock<Instant>,
    waited_ms: Mutex<Vec<f64>>,
}

impl Pace {
    /// `rate` jobs per second, from this many users in turn; not started yet.
    pub(super) fn new(rate: f64, users: usize) -> Arc<Self> {
        Arc::new(Self { rate, users, start: OnceLock::new(), waited_ms: Mutex::default() })
    }

    /// Returns what to call for each outcome of the user with this index; outcomes before the start do not count.
    pub(super) fn ear(self: &Arc<Self>, user: usize) -> impl FnMut() + Send + 'static {
        let (pace, mut heard) = (Arc::clone(self), 0);
        move || {
            let now = Instant::now();
            if let Some(start) = pace.start.get() {
                let waited = now.saturating_duration_since(*start + pace.due(heard * pace.users + user));
                heard += 1;
                let mut all = pace.waited_ms.lock().unwrap_or_else(PoisonError::into_inner);
                all.push(waited.as_secs_f64() * 1000.0);
            }
        }
    }

    /// When job `n` is due, after the start.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn due(&self, n: usize) -> Duration {
        Duration::from_secs_f64(n as f64 / self.rate)
    }

    /// Sets the start to a moment from now.
    pub(super) fn begin(&self) {
        self.start.get_or_init(|| Instant::now() + Duration::from_millis(200));
    }

    /// Adds every `of`th job of `count`, starting with `first`, when it is due, as a Bull producer does but in plain
    /// commands: Bull's script would cost Redis more than what is measured. Runs on a thread of its own, whose clock is
    /// finer than the runtime's.
    pub(super) fn produce(
        &self,
        jobs: &Jobs,
        redis: ConnectionInfo,
        keys: &BullKeys,
        (first, of, count): (usize, usize, usize),
        stop: &CancellationToken,
    ) -> Result<(), CliError> {
        let start = *self.start.get().ok_or("the pace has not started")?;
        let mut connection = Client::open(redis)?.get_connection()?;
        // Some of these ids stay unused: the other producers have their own.
        let last: usize = connection.incr(keys.key("id"), count)?;
        let mut next = (first..count).step_by(of).peekable();
        while let Some(n) = next.peek() {
            sleep((start + self.due(*n)).saturating_duration_since(Instant::now()));
            if stop.is_cancelled() {
                return Ok(());
            }
            let (elapsed, mut pipe) = (start.elapsed(), Pipeline::new());
            while pipe.len() < AT_A_TIME * 3
                && let Some(n) = next.next_if(|n| self.due(*n) <= elapsed)
            {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
                let id = last - count + 1 + n;
                pipe.cmd("HSET")
                    .arg(keys.key(id))
                    .arg("name")
                    .arg("__default__")
                    .arg("data")
                    .arg(jobs.data(n));
                pipe.arg("opts").arg(options(now)).arg("timestamp").arg(now.to_string());
                pipe.arg("delay").arg(0).arg("priority").arg(0).ignore();
                pipe.lpush(keys.key("wait"), id).ignore();
                pipe.publish(keys.key("waiting@bench"), id).ignore();
            }
            pipe.query::<()>(&mut connection)?;
        }
        Ok(())
    }

    /// How long each outcome took, in milliseconds, shortest first.
    pub(super) fn waited_ms(&self) -> Vec<f64> {
        let mut all = self.waited_ms.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.sort_by(f64::total_cmp);
        all
    }
}
