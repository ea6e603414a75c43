//! What is counted and measured of HTTP requests.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::ReasonLabels;

/// The metrics of HTTP requests. Labels come from closed sets: what a client makes up is `other`.
pub struct HttpMetrics {
    requests: Family<RequestLabels, Counter>,
    took: Family<RouteLabels, Histogram>,
    panics: Counter,
    refused: Family<ReasonLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
    method: &'static str,
}

impl HttpMetrics {
    /// Metrics at zero, in `registry`.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let requests = Family::default();
        let took = Family::<RouteLabels, Histogram>::new_with_constructor(|| {
            Histogram::new([
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0,
            ])
        });
        let panics = Counter::default();
        let refused = Family::default();
        registry.register(
            "http_requests",
            "HTTP requests, by the answer's status; 499: the client went away before it was answered",
            Family::clone(&requests),
        );
        registry.register_with_unit(
            "http_request_duration",
            "Time from a request's head to its answer's",
            Unit::Seconds,
            took.clone(),
        );
        registry.register("http_panics", "HTTP requests whose handling panicked", panics.clone());
        registry.register(
            "http_tokens_refused",
            "HTTP requests whose token proved nothing, by reason",
            Family::clone(&refused),
        );
        Self { requests, took, panics, refused }
    }

    /// Counts a request that was answered with `status` after it `took` some time.
    pub fn request(&self, route: &str, method: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&RequestLabels { route: route.to_owned(), method, status }).inc();
        let labels = RouteLabels { route: route.to_owned(), method };
        self.took.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Counts a request whose handling panicked.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// Counts a request whose token proved nothing.
    pub fn token_refused(&self, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabels { reason }).inc();
    }
}
