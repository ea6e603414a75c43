//! `GET /livez` and `GET /readyz`, for whatever starts, watches and balances processes.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use serde::Serialize;

use super::health::word;

/// A queue that does not answer within this time is unavailable.
const PATIENCE: Duration = Duration::from_millis(1500);

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    queue: &'static str,
    store: &'static str,
    process: &'static str,
}

/// The process is running: always 200.
pub(super) async fn livez() -> impl IntoResponse {
    Json(serde_json::json!({ "status": word(true) }))
}

/// Whether jobs are claimed and run here: 200, or 503 with the part that is missing. Counts nothing.
pub(super) async fn readyz(State(state): State<Arc<super::State>>) -> impl IntoResponse {
    let (queue, store) = tokio::join!(queue_answers(&state), state.store_available());
    let running = !state.stop.is_cancelled();
    let (code, status) = if queue && store && running {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    };
    let process = if running { word(true) } else { "stopping" };
    (code, Json(Ready { status, queue: word(queue), store: word(store), process }))
}

async fn queue_answers(state: &super::State) -> bool {
    // One speaks for all: they share a connection, or a file.
    let Some(queue) = state.queues.first() else { return true };
    match tokio::time::timeout(PATIENCE, queue.ping()).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::debug!(%error, "not ready");
            false
        }
        Err(_) => false,
    }
}
