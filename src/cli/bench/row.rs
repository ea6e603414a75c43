//! The figures of one case by one service.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

/// What a number measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Figure {
    /// Measured jobs; each was done, and its user heard so.
    Jobs,
    /// Jobs that came per second, by plan.
    Rate,
    JobsPerS,
    P50Ms,
    P99Ms,
    MaxMs,
    ServiceUs,
    RedisUs,
    MongodUs,
    BenchUs,
    IdleMb,
    PeakMb,
    SocketKb,
}

impl Figure {
    /// Its name in JSON, and its column heading.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Jobs => ("jobs", "jobs"),
            Self::Rate => ("rate_per_s", "rate/s"),
            Self::JobsPerS => ("jobs_per_s", "jobs/s"),
            Self::P50Ms => ("p50_ms", "p50 ms"),
            Self::P99Ms => ("p99_ms", "p99 ms"),
            Self::MaxMs => ("max_ms", "max ms"),
            Self::ServiceUs => ("service_cpu_us_per_job", "service µs"),
            Self::RedisUs => ("redis_cpu_us_per_job", "Redis µs"),
            Self::MongodUs => ("mongod_cpu_us_per_job", "mongod µs"),
            Self::BenchUs => ("bench_cpu_us_per_job", "bench µs"),
            Self::IdleMb => ("idle_mb", "idle MB"),
            Self::PeakMb => ("peak_mb", "peak MB"),
            Self::SocketKb => ("kb_per_socket", "kB/socket"),
        }
    }

    /// Whether it tells how good a service is, so that two can be compared by it.
    pub(super) fn is_result(self) -> bool {
        !matches!(self, Self::Jobs | Self::Rate | Self::BenchUs)
    }

    /// Its column heading.
    pub(super) fn title(self) -> &'static str {
        self.names().1
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.names().0)
    }
}

/// One case of one measurement by one service; with several rounds, all of them.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub of: &'static str,
    pub case: String,
    pub by: &'static str,
    pub figures: BTreeMap<Figure, Vec<f64>>,
}

impl Row {
    pub(super) fn new(of: &'static str, case: String, by: &'static str) -> Self {
        Self { of, case, by, figures: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, figure: Figure, value: f64) {
        self.figures.entry(figure).or_default().push(value);
    }

    pub(super) fn extend(&mut self, figures: impl IntoIterator<Item = (Figure, f64)>) {
        figures.into_iter().for_each(|(figure, value)| self.add(figure, value));
    }

    /// The medians of all rounds.
    pub(super) fn medians(&self) -> BTreeMap<Figure, f64> {
        self.figures.keys().filter_map(|figure| Some((*figure, self.value(*figure)?))).collect()
    }

    /// The median of all rounds.
    pub(super) fn value(&self, figure: Figure) -> Option<f64> {
        let mut values = self.figures.get(&figure)?.clone();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        Some(if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        })
    }

    pub(super) fn is_bare(&self) -> bool {
        self.by.starts_with("bare")
    }

    pub(super) fn is_of_octavo(&self) -> bool {
        self.by.starts_with("octavo")
    }
}

/// A count as a floating-point number.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

/// At least three significant digits.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
