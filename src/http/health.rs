//! `GET /health` and `GET /metrics`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};
use serde::Serialize;

use super::problem::Problem;
use crate::queue::Counts;

/// A part that does not answer within this time is unavailable.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct Health {
    status: &'static str,
    mode: &'static str,
    version: &'static str,
    queue: Part,
    store: Part,
    claims: &'static str,
    queues: BTreeMap<&'static str, Counts>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<&'static str>,
}

#[derive(Serialize)]
struct Part {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<Option<String>> for Part {
    fn from(error: Option<String>) -> Self {
        Self { status: word(error.is_none()), error }
    }
}

pub(super) fn word(well: bool) -> &'static str {
    if well { "ok" } else { "unavailable" }
}

/// Whether the queue and the store answer (200 or 503), and how many jobs there are.
pub(super) async fn health(State(state): State<Arc<super::State>>) -> impl IntoResponse {
    let store = async {
        match tokio::time::timeout(PATIENCE, state.store.ping()).await {
            Ok(pinged) => pinged.err().map(|error| error.to_string()),
            Err(_) => Some("the character store does not answer".to_owned()),
        }
    };
    let (counted, store, available) = tokio::join!(count(&state), store, state.store_available());
    let (queues, queue) = match counted {
        Ok(queues) => (queues, None),
        Err(error) => (BTreeMap::new(), Some(error)),
    };
    let well = queue.is_none() && store.is_none();
    let code = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let version = env!("CARGO_PKG_VERSION");
    let claims = match (state.stop.is_cancelled(), available) {
        (true, _) => "stopped",
        (false, true) => "ok",
        (false, false) => "held back",
    };
    let health = Health {
        status: word(well),
        mode: state.mode.as_str(),
        version,
        queue: queue.into(),
        store: store.into(),
        claims,
        queues,
        warnings: state.warnings.clone(),
    };
    (code, Json(health))
}

/// The metrics, in Prometheus' format.
pub(super) async fn metrics(
    State(state): State<Arc<super::State>>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let (counted, available) = tokio::join!(count(&state), state.store_available());
    state.metrics.store(available);
    state.metrics.connections.socket_bytes(state.notifier.bytes());
    state.metrics.queue_available(counted.is_ok());
    match counted {
        Ok(counts) => counts.into_iter().for_each(|(queue, counts)| state.metrics.queue(queue, counts)),
        Err(error) => tracing::warn!(error, "the metrics lack the job counts of the queues"),
    }
    let text = state.metrics.encode().map_err(|error| Problem::internal(error.to_string()))?;
    // A browser would save an unknown type as a file. In the older format, what OpenMetrics adds are comments.
    let accepted =
        headers.get(header::ACCEPT).and_then(|accepted| accepted.to_str().ok()).unwrap_or_default();
    let kind = if accepted.contains("application/openmetrics-text") {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    };
    Ok(([(header::CONTENT_TYPE, kind)], text))
}

async fn count(state: &super::State) -> Result<BTreeMap<&'static str, Counts>, String> {
    let count = async {
        let mut counts = BTreeMap::<_, Counts>::new();
        for queue in &state.queues {
            let more = queue.counts().await.map_err(|error| error.to_string())?;
            state.metrics.layout((queue.name(), queue.layout()), more.paused, queue.letters_dropped());
            *counts.entry(queue.name()).or_default() += more;
        }
        Ok(counts)
    };
    let counted = tokio::time::timeout(PATIENCE, count).await;
    counted.unwrap_or_else(|_| Err("the queue does not answer".to_owned()))
}
