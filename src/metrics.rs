//! What is counted and measured, in Prometheus's text format.

mod connections;
mod http;

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::{queue::Counts, telemetry::DROPPED};
pub use connections::ConnectionMetrics;
pub use http::HttpMetrics;

/// The metrics of one running service.
pub struct Metrics {
    /// Those of HTTP requests.
    pub http: HttpMetrics,
    /// Those of connections.
    pub connections: ConnectionMetrics,
    registry: Registry,
    jobs: Family<JobLabels, Counter>,
    waited: Family<QueueLabels, Histogram>,
    took: Family<QueueLabels, Histogram>,
    states: Family<StateLabels, Gauge<u64, AtomicU64>>,
    driven: Family<QueueLabels, Counter>,
    paused: Family<LayoutLabels, Gauge<u64, AtomicU64>>,
    dropped: Family<LayoutLabels, Counter>,
    store: Gauge,
    queue: Gauge,
    sockets: Gauge,
    unsigned: Gauge,
    refused: Family<ReasonLabels, Counter>,
    profiles: Family<OutcomeLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabels {
    queue: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabels {
    queue: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    queue: &'static str,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LayoutLabels {
    queue: &'static str,
    layout: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

/// Every word for the end of a job's run.
const OUTCOMES: [&str; 7] = ["done", "refused", "retry", "released", "postponed", "buried", "lost"];

impl Metrics {
    /// Metrics at zero for `queues`.
    pub fn new(queues: impl IntoIterator<Item = &'static str>) -> Self {
        let jobs = Family::<JobLabels, Counter>::default();
        let driven = Family::<QueueLabels, Counter>::default();
        let seconds = || {
            Family::<QueueLabels, Histogram>::new_with_constructor(|| {
                Histogram::new([
                    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0,
                ])
            })
        };
        let (waited, took) = (seconds(), seconds());
        for queue in queues {
            for outcome in OUTCOMES {
                drop(jobs.get_or_create(&JobLabels { queue, outcome }));
            }
            drop(driven.get_or_create(&QueueLabels { queue }));
            drop(waited.get_or_create(&QueueLabels { queue }));
            drop(took.get_or_create(&QueueLabels { queue }));
        }
        let (states, store, queue) = (Family::default(), Gauge::default(), Gauge::default());
        let (sockets, unsigned, refused) =
            (Gauge::default(), Gauge::default(), Family::<ReasonLabels, Counter>::default());
        let profiles = Family::<OutcomeLabels, Counter>::default();
        for outcome in ["passed", "unsigned", "refused"] {
            drop(profiles.get_or_create(&OutcomeLabels { outcome }));
        }
        let mut registry = Registry::with_prefix("octavo");
        registry.register("jobs", "Runs of jobs, by what became of them", jobs.clone());
        registry.register_with_unit(
            "job_wait",
            "Time from a job's creation to its claim, including its delay and earlier attempts",
            Unit::Seconds,
            waited.clone(),
        );
        registry.register_with_unit(
            "job_duration",
            "Time spent handling a job, from parsing its data to its result, excluding claim and settlement",
            Unit::Seconds,
            took.clone(),
        );
        registry.register("queue_jobs", "Jobs in the queues, by state", states.clone());
        registry.register("dead_letters_driven", "Dead letters put back into their queues", driven.clone());
        let paused = Family::default();
        let dropped = Family::<LayoutLabels, Counter>::default();
        registry.register(
            "queue_paused",
            "1 while a queue is paused in Bull, and its jobs wait until it is resumed",
            paused.clone(),
        );
        registry.register(
            "dead_letters_dropped",
            "Dead letters that this process dropped to make room for newer ones of the same user",
            dropped.clone(),
        );
        registry.register(
            "store_available",
            "1 while the store answers; 0 while it is away and no jobs are claimed",
            store.clone(),
        );
        registry.register(
            "queue_available",
            "1 while the queue answers; 0 while it does not and octavo_queue_jobs is empty",
            queue.clone(),
        );
        registry.register("sockets", "Connected sockets", sockets.clone());
        registry.register("sockets_unsigned", "Connected sockets without a token", unsigned.clone());
        registry.register("sign_ins_refused", "Sockets that were refused, by reason", refused.clone());
        registry.register(
            "profiles",
            "Profiles from sibling services to rooms, by what became of them",
            profiles.clone(),
        );
        registry.register(
            "log_lines_dropped",
            "Lines of the log that were not written, because its reader was away or too slow",
            DROPPED.clone(),
        );
        Self {
            http: HttpMetrics::register(&mut registry),
            connections: ConnectionMetrics::register(&mut registry),
            registry,
            jobs,
            waited,
            took,
            states,
            driven,
            paused,
            dropped,
            store,
            queue,
            sockets,
            unsigned,
            refused,
            profiles,
        }
    }

    /// Counts the end of one run of a job, which `waited` before it was claimed and then `took` some time.
    pub fn job(&self, queue: &'static str, outcome: &'static str, waited: Duration, took: Duration) {
        self.jobs.get_or_create(&JobLabels { queue, outcome }).inc();
        self.waited.get_or_create(&QueueLabels { queue }).observe(waited.as_secs_f64());
        self.took.get_or_create(&QueueLabels { queue }).observe(took.as_secs_f64());
    }

    /// Counts a dead letter that was redriven.
    pub fn driven(&self, queue: &'static str) {
        self.driven.get_or_create(&QueueLabels { queue }).inc();
    }

    /// Notes whether the store answers.
    pub fn store(&self, available: bool) {
        self.store.set(available.into());
    }

    /// Counts a socket in (`1`) or out (`-1`).
    pub fn socket(&self, change: i64, signed_in: bool) {
        self.sockets.inc_by(change);
        if !signed_in {
            self.unsigned.inc_by(change);
        }
    }

    /// Counts a socket that was refused.
    pub fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Counts what became of a `Profile`: `passed`, `unsigned`, `refused`.
    pub fn profile(&self, outcome: &'static str) {
        self.profiles.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Notes whether the queue answers; if it does not, nobody knows how many jobs it has.
    pub fn queue_available(&self, available: bool) {
        self.queue.set(available.into());
        if !available {
            self.states.clear();
            self.paused.clear();
        }
    }

    /// Notes how many jobs `queue` has.
    pub fn queue(&self, queue: &'static str, counts: Counts) {
        let states = [
            ("waiting", counts.waiting),
            ("delayed", counts.delayed),
            ("active", counts.active),
            ("dead", counts.dead),
        ];
        for (state, count) in states {
            self.states.get_or_create(&StateLabels { queue, state }).set(count);
        }
    }

    /// Notes whether `queue` is paused in `layout`, and how many dead letters it has dropped since the start.
    pub fn layout(&self, (queue, layout): (&'static str, &'static str), paused: bool, dropped: u64) {
        let labels = LayoutLabels { queue, layout };
        self.paused.get_or_create(&labels).set(paused.into());
        self.dropped.get_or_create(&labels).inner().store(dropped, Relaxed);
    }

    /// All metrics as text.
    ///
    /// # Errors
    /// Never in practice: writing to a string does not fail.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
