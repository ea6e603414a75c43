//! How many jobs of one queue are in progress: as many as give the best throughput, within bounds of jobs and bytes.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::Notify, time::timeout_at};

use super::worker::BATCH;

/// With fewer jobs at a time, nothing gathers into batches.
const FEWEST: usize = 32;

/// With a backlog, a claim waits until one in this many slots is free, or enough for a whole batch.
const SHARE: usize = 3;

/// But no longer than this, since some jobs are slow.
const PATIENCE: Duration = Duration::from_millis(5);

/// Throughput is measured for at least this long, and until `LOOK_TIMES` times as many jobs as the limit are done.
const LOOK: Duration = Duration::from_millis(200);
const LOOK_TIMES: usize = 4;

/// The least ratio between two measurements that means something.
const NOTABLE: f64 = 1.03;

/// Room for the jobs of one queue.
pub(super) struct Slots {
    state: Mutex<State>,
    freed: Notify,
    most_bytes: usize,
}

/// Jobs in progress, and the bytes of their data; dropping this makes room for others.
pub(super) struct Slot {
    slots: Arc<Slots>,
    jobs: usize,
    bytes: usize,
}

struct State {
    jobs: usize,
    bytes: usize,
    limit: Limit,
}

impl Slots {
    pub(super) fn new(most_jobs: usize, most_bytes: usize) -> Arc<Self> {
        let state = Mutex::new(State { jobs: 0, bytes: 0, limit: Limit::new(most_jobs) });
        Arc::new(Self { state, freed: Notify::new(), most_bytes })
    }

    /// Waits for room and, with a `backlog`, a little longer for enough to be worth a claim; returns how many jobs there
    /// is room for. For one claimer at a time.
    pub(super) async fn room(&self, backlog: bool) -> usize {
        let mut end = None;
        loop {
            let (room, worth) = self.free(backlog);
            if room >= worth {
                return room;
            }
            if room == 0 {
                self.freed.notified().await;
            } else {
                let end = *end.get_or_insert_with(|| tokio::time::Instant::now() + PATIENCE);
                if timeout_at(end, self.freed.notified()).await.is_err() {
                    return room;
                }
            }
        }
    }

    /// How many jobs there is room for, and how many are worth a claim.
    fn free(&self, backlog: bool) -> (usize, usize) {
        let mut state = self.lock();
        let room = state.limit.now.saturating_sub(state.jobs);
        let worth = if backlog { (state.limit.now / SHARE).clamp(1, BATCH) } else { 1 };
        if room < worth {
            state.limit.reached(Instant::now());
        }
        (if state.bytes < self.most_bytes { room } else { 0 }, worth)
    }

    /// A slot for a claimed job.
    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> Slot {
        let mut state = self.lock();
        if state.jobs == 0 {
            state.limit.idled();
        }
        state.jobs += 1;
        state.bytes += bytes;
        Slot { slots: Arc::clone(self), jobs: 1, bytes }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Joins two slots, to be freed together, so that one claim fills the room of many.
    pub(super) fn merge(&mut self, mut other: Self) {
        self.jobs += mem::take(&mut other.jobs);
        self.bytes += mem::take(&mut other.bytes);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.jobs == 0 {
            return;
        }
        let mut state = self.slots.lock();
        state.jobs -= self.jobs;
        state.bytes -= self.bytes;
        state.limit.done(self.jobs, Instant::now());
        drop(state);
        self.slots.freed.notify_one();
    }
}

/// How many jobs may be in progress at a time: the maximum at first. While it is the bottleneck, it keeps moving up or
/// down as long as throughput rises, turns around when it falls, and goes down when there is no difference: with more
/// in progress than helps, each job only waits longer there, and others wait behind it.
struct Limit {
    now: usize,
    most: usize,
    up: bool,
    /// Since when it has been the bottleneck.
    since: Option<Instant>,
    /// Jobs done since then.
    done: usize,
    /// Jobs per second in the last measurement.
    before: Option<f64>,
}

impl Limit {
    fn new(most: usize) -> Self {
        Self { now: most, most, up: false, since: None, done: 0, before: None }
    }

    /// It is the bottleneck.
    fn reached(&mut self, at: Instant) {
        if self.since.is_none() {
            (self.since, self.done) = (Some(at), 0);
        }
    }

    /// Nothing was in progress: earlier measurements say nothing about what comes.
    fn idled(&mut self) {
        (self.since, self.before) = (None, None);
    }

    fn done(&mut self, jobs: usize, at: Instant) {
        self.done += jobs;
        let Some(since) = self.since else { return };
        let took = at.saturating_duration_since(since);
        if took < LOOK || self.done < self.now * LOOK_TIMES {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a moment's jobs are few")]
        let rate = self.done as f64 / took.as_secs_f64();
        if let Some(before) = self.before.replace(rate) {
            let (better, worse) = (rate > before * NOTABLE, rate * NOTABLE < before);
            self.up = (better || worse) && self.up == better;
        }
        let fewest = FEWEST.min(self.most);
        // From there, the only way is up.
        self.up |= self.now == fewest;
        let next = if self.up { self.now * 5 / 4 } else { self.now * 4 / 5 };
        (self.now, self.since) = (next.clamp(fewest, self.most), None);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// Takes `times` measurements of a queue that does `rate(limit)` jobs a second while its limit is the bottleneck.
    fn looked(limit: &mut Limit, times: usize, rate: impl Fn(usize) -> usize) {
        for _ in 0..times {
            let start = Instant::now();
            limit.reached(start);
            limit.done(rate(limit.now).max(limit.now * LOOK_TIMES), start + Duration::from_secs(1));
        }
    }

    #[test]
    fn it_goes_down_to_what_is_enough_and_stays_near() {
        let mut limit = Limit::new(512);
        // 100 at a time give as much throughput as more would.
        looked(&mut limit, 30, |now| now.min(100) * 50);
        for _ in 0..20 {
            looked(&mut limit, 1, |now| now.min(100) * 50);
            assert!((60..=160).contains(&limit.now), "{}", limit.now);
        }
    }

    #[test]
    fn it_leaves_either_end_when_that_helps() {
        let mut limit = Limit::new(512);
        looked(&mut limit, 40, |_| 50_000);
        assert!(limit.now < 50, "{}: less makes no difference", limit.now);
        looked(&mut limit, 40, |now| now * 50);
        for _ in 0..10 {
            looked(&mut limit, 1, |now| now * 50);
            assert!(limit.now > 300, "{}: more is better", limit.now);
        }
    }

    #[test]
    fn it_moves_only_when_it_is_in_the_way() {
        let mut limit = Limit::new(512);
        for _ in 0..10 {
            limit.done(5000, Instant::now() + Duration::from_secs(1));
        }
        assert_eq!(limit.now, 512);
        looked(&mut limit, 2, |_| 50_000);
        let (now, start) = (limit.now, Instant::now());
        limit.reached(start);
        limit.idled();
        limit.done(5000, start + Duration::from_mins(1));
        assert_eq!(limit.now, now, "time in which nothing was in progress");
        assert_eq!(Limit::new(8).now, 8);
    }

    #[tokio::test]
    async fn room_is_for_jobs_and_bytes_and_comes_back_together() {
        let slots = Slots::new(3, 100);
        let mut first = slots.take(40);
        assert_eq!(slots.room(false).await, 2);
        let large = slots.take(60);
        let waits = tokio::time::timeout(Duration::from_millis(20), slots.room(false)).await;
        assert!(waits.is_err(), "100 bytes are in progress");
        assert!(slots.lock().limit.since.is_none(), "and the limit of jobs is not the bottleneck");
        first.merge(large);
        drop(first);
        assert_eq!(slots.room(false).await, 3);
    }

    #[tokio::test]
    async fn with_a_backlog_a_claim_waits_for_a_share_but_not_for_long() {
        let slots = Slots::new(64, 100);
        let mut busy: Vec<_> = (0..63).map(|_| slots.take(0)).collect();
        assert_eq!(slots.room(false).now_or_never(), Some(1), "there is no backlog");
        assert!(slots.lock().limit.since.is_none(), "and the limit is not the bottleneck");
        assert!(slots.room(true).now_or_never().is_none(), "one slot of many is not worth a claim");
        assert!(slots.lock().limit.since.is_some());
        assert_eq!(slots.room(true).await, 1, "but the other slots are busy for long");
        busy.truncate(64 - 64 / SHARE);
        assert_eq!(slots.room(true).now_or_never(), Some(64 / SHARE));
    }

    #[tokio::test]
    async fn slots_that_come_free_one_by_one_do_not_make_a_claim_wait_longer() {
        let slots = Slots::new(3 * BATCH, 100);
        let busy: Vec<_> = (0..3 * BATCH).map(|_| slots.take(0)).collect();
        let (began, trickle) = (Instant::now(), async {
            for slot in busy {
                drop(slot);
                tokio::time::sleep(PATIENCE / 2).await;
            }
        });
        tokio::select! {
            room = slots.room(true) => assert!(room < BATCH, "{room} in {:?}", began.elapsed()),
            () = trickle => panic!("it waited for all slots"),
        }
    }
}
