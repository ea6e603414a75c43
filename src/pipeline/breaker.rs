//! Holds jobs back while the store that a domain depends on is away, so that an outage costs the backlog no attempts.
//!
//! What counts is not how many jobs have failed, but what the store says when it is asked after a failure: see
//! `docs/decisions/0010`.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use rand::RngExt;
use tokio::{sync::Mutex, time::Instant};

use crate::backoff;

/// A store that does not answer within this time is away.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Pauses between probes, in milliseconds, while it is away: work resumes within a second of its return.
const PAUSE_MS: std::ops::RangeInclusive<u64> = 100..=500;

/// How long an answer is good, from the start of its probe, for those who only want to know: longer than `PATIENCE`.
const FRESH: Duration = Duration::from_secs(2);

/// This many jobs may fail in a row although the store answers; then jobs are claimed one by one.
const FEW: u32 = 3;

/// The pauses before those claims are as long as after this many failures: at most 1.6 s.
const CAUTION: u32 = 5;

/// Closed while the store answers. Open at first, so that nothing is claimed before the store has answered once.
#[derive(Default)]
pub(super) struct Breaker {
    closed: AtomicBool,
    /// Jobs that failed although the store answered, since one was done.
    failed: AtomicU32,
    /// Jobs that were done.
    done: AtomicU64,
    /// Held while the store is probed: one probe at a time.
    asked: Mutex<Asked>,
    /// Held by whoever probes until the store answers.
    turn: Mutex<()>,
}

#[derive(Default)]
struct Asked {
    /// When the last finished probe began.
    at: Option<Instant>,
    /// Since when the store has been away, if it is.
    away: Option<Instant>,
}

/// The state of the store, for a job that failed because it seemed to be away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// It answers: this job's failure is its own.
    There,
    /// It is away, and this job was the first to notice, so it may be the cause.
    JustLost,
    /// It is away.
    Away,
}

impl Breaker {
    /// Waits until the store answers; returns how many jobs may be claimed at once.
    pub(super) async fn ready<P>(&self, probe: impl Fn() -> P) -> usize
    where
        P: Future<Output = Result<(), String>>,
    {
        if !self.is_closed() {
            let _turn = self.turn.lock().await;
            while !self.is_closed() && self.ask(&mut *self.asked.lock().await, probe()).await != Found::There
            {
                let pause = rand::rng().random_range(PAUSE_MS);
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        }
        if self.failed.load(Relaxed) < FEW {
            return usize::MAX;
        }
        tokio::time::sleep(backoff::pause(CAUTION)).await;
        1
    }

    /// A job has failed because the store seemed to be away: is it?
    pub(super) async fn failed(&self, probe: impl Future<Output = Result<(), String>>) -> Found {
        if !self.is_closed() {
            return Found::Away;
        }
        let now = Instant::now();
        let mut asked = self.asked.lock().await;
        // A thousand jobs that fail together probe once.
        let found = match asked.at {
            _ if !self.is_closed() => Found::Away,
            Some(at) if at >= now => Found::There,
            _ => self.ask(&mut asked, probe).await,
        };
        if found == Found::There {
            self.failed.fetch_add(1, Relaxed);
        }
        found
    }

    /// The store has done what a job asked for.
    pub(super) fn worked(&self) {
        self.done.fetch_add(1, Relaxed);
        if self.failed.load(Relaxed) > 0 {
            self.failed.store(0, Relaxed);
        }
    }

    /// Whether the store answers now, or did a moment ago.
    pub(super) async fn available(&self, probe: impl Future<Output = Result<(), String>>) -> bool {
        let mut asked = self.asked.lock().await;
        match asked.at {
            Some(at) if at.elapsed() < FRESH => self.is_closed(),
            _ => self.ask(&mut asked, probe).await == Found::There,
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// Probes the store, and opens or closes.
    async fn ask(&self, asked: &mut Asked, probe: impl Future<Output = Result<(), String>>) -> Found {
        let (begun, done) = (Instant::now(), self.done.load(Relaxed));
        let answer = match tokio::time::timeout(PATIENCE, probe).await {
            Ok(answer) => answer,
            // It has answered others meanwhile: it is only busy.
            Err(_) if self.done.load(Relaxed) > done => Ok(()),
            Err(_) => Err(format!("no answer within {} ms", PATIENCE.as_millis())),
        };
        asked.at = Some(begun);
        match answer {
            Ok(()) => {
                self.closed.store(true, Relaxed);
                if let Some(since) = asked.away.take() {
                    tracing::info!(away = ?since.elapsed(), "the store is there again: jobs are claimed");
                }
                Found::There
            }
            Err(reason) => {
                let was_closed = self.closed.swap(false, Relaxed);
                if asked.away.is_none() {
                    asked.away = Some(begun);
                    tracing::warn!(reason, "the store is away: no jobs are claimed until it answers");
                }
                if was_closed { Found::JustLost } else { Found::Away }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::AtomicUsize};

    use futures_util::future::join_all;

    use super::*;

    /// A store that is there, away, or silent, and counts its probes.
    #[derive(Default)]
    struct Store {
        away: AtomicBool,
        silent: AtomicBool,
        asked: AtomicUsize,
    }

    impl Store {
        async fn probe(&self) -> Result<(), String> {
            self.asked.fetch_add(1, Relaxed);
            if self.silent.load(Relaxed) {
                std::future::pending::<()>().await;
            }
            // Others fail meanwhile.
            tokio::time::sleep(Duration::from_millis(1)).await;
            if self.away.load(Relaxed) { Err("away".to_owned()) } else { Ok(()) }
        }

        fn asked(&self) -> usize {
            self.asked.swap(0, Relaxed)
        }
    }

    async fn closed() -> (Arc<Store>, Arc<Breaker>) {
        let (store, breaker) = (Arc::new(Store::default()), Arc::new(Breaker::default()));
        assert_eq!(breaker.ready(|| store.probe()).await, usize::MAX);
        assert_eq!(store.asked(), 1, "nothing is claimed before the store has answered");
        (store, breaker)
    }

    #[tokio::test]
    async fn of_a_thousand_jobs_that_an_outage_fails_one_counts_and_the_store_is_asked_once() {
        let (store, breaker) = closed().await;
        store.away.store(true, Relaxed);
        let found = join_all((0..1000).map(|_| breaker.failed(store.probe()))).await;
        assert_eq!(found.iter().filter(|found| **found == Found::JustLost).count(), 1);
        assert_eq!(found.iter().filter(|found| **found == Found::Away).count(), 999);
        assert_eq!(store.asked(), 1);
    }

    #[tokio::test]
    async fn while_the_store_is_away_nobody_is_ready_and_one_asks_with_pauses() {
        let (store, breaker) = closed().await;
        store.away.store(true, Relaxed);
        assert_eq!(breaker.failed(store.probe()).await, Found::JustLost);
        store.asked();
        let ready = || {
            let (store, breaker) = (Arc::clone(&store), Arc::clone(&breaker));
            tokio::spawn(async move { breaker.ready(|| store.probe()).await })
        };
        let waiting: Vec<_> = (0..8).map(|_| ready()).collect();
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(waiting.iter().all(|ready| !ready.is_finished()));
        let asked = store.asked();
        assert!((5..=30).contains(&asked), "asked {asked} times in 3 s");

        store.away.store(false, Relaxed);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(waiting.iter().all(tokio::task::JoinHandle::is_finished), "work resumes within a second");
    }

    #[tokio::test]
    async fn a_silent_store_is_away() {
        let (store, breaker) = closed().await;
        store.silent.store(true, Relaxed);
        assert!(breaker.available(store.probe()).await, "it answered a moment ago");
        tokio::time::sleep(FRESH).await;
        let asked = Instant::now();
        assert!(!breaker.available(store.probe()).await);
        assert!(asked.elapsed() < PATIENCE * 2);
        assert_eq!(breaker.failed(store.probe()).await, Found::Away);
    }

    #[tokio::test]
    async fn a_store_that_is_too_busy_to_answer_is_there() {
        let (store, breaker) = closed().await;
        store.silent.store(true, Relaxed);
        let busy = async {
            tokio::time::sleep(PATIENCE / 2).await;
            breaker.worked();
        };
        assert_eq!(tokio::join!(breaker.failed(store.probe()), busy).0, Found::There);
    }

    #[tokio::test]
    async fn a_store_that_answers_and_fails_counts_attempts_and_is_tried_with_one_job_at_a_time() {
        let (store, breaker) = closed().await;
        for _ in 0..FEW {
            assert_eq!(breaker.ready(|| store.probe()).await, usize::MAX);
            assert_eq!(breaker.failed(store.probe()).await, Found::There);
        }
        assert_eq!(breaker.ready(|| store.probe()).await, 1);
        breaker.worked();
        assert_eq!(breaker.ready(|| store.probe()).await, usize::MAX);
    }
}
