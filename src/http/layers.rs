//! What every request passes through, from the outside to the inside.

#[cfg(test)]
mod tests;

use std::{any::Any, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Method, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use tokio::time::{Instant, timeout};
use tower::{ServiceBuilder, util::option_layer};
use tower_http::{catch_panic::CatchPanicLayer, cors::CorsLayer, set_header::SetResponseHeaderLayer};

use super::{body, jobs, limits, problem::Problem, request_id};
use crate::{metrics::Metrics, pipeline::brief};

/// What the layers need.
pub(super) struct Layers {
    /// Counts requests.
    pub metrics: Arc<Metrics>,
    /// How long a request may take; zero is no limit.
    pub request_timeout: Duration,
    /// Lets pages of other origins in, if any may come.
    pub cors: Option<CorsLayer>,
}

/// Puts all layers around `router`.
pub(super) fn around(router: Router, layers: Layers) -> Router {
    let Layers { metrics, request_timeout, cors } = layers;
    let nosniff = HeaderValue::from_static("nosniff");
    let no_store = HeaderValue::from_static("no-store");
    router.layer(
        ServiceBuilder::new()
            .layer(from_fn(request_id::give))
            .layer(SetResponseHeaderLayer::overriding(header::X_CONTENT_TYPE_OPTIONS, nosniff))
            .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, no_store))
            .layer(from_fn_with_state(metrics, observe))
            .layer(option_layer(cors))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(from_fn_with_state(request_timeout, in_time)),
    )
}

/// What is known about a request; it is counted and logged when this is dropped, so also when the client goes away.
struct Seen {
    metrics: Arc<Metrics>,
    method: &'static str,
    route: String,
    request_id: String,
    begun: Instant,
    status: u16,
}

/// The status of a request whose client went away before it was answered.
const GONE: u16 = 499;

/// Counts, measures and logs a request, without its query, its token or its body.
async fn observe(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let mut seen = Seen {
        metrics,
        method: method(request.method()),
        route: request.extensions().get().map_or("other", MatchedPath::as_str).to_owned(),
        request_id: request_id::of(&request),
        begun: Instant::now(),
        status: GONE,
    };
    let response = next.run(request).await;
    seen.status = response.status().as_u16();
    if let Some(Panicked(panic)) = response.extensions().get() {
        let Seen { method, route, request_id, .. } = &seen;
        tracing::error!(method, route, request_id, panic, "a request panicked");
        seen.metrics.http.panicked();
    }
    response
}

impl Drop for Seen {
    fn drop(&mut self) {
        let Self { metrics, method, route, request_id, begun, status } = self;
        let took = begun.elapsed();
        metrics.http.request(route, method, *status, took);
        tracing::debug!(method, route, status, took_ms = took.as_secs_f64() * 1e3, request_id, "request");
    }
}

/// A method's name; a client may make up others.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// The text of a panic, in the answer's extensions.
#[derive(Clone)]
struct Panicked(String);

/// The answer to a request that panicked.
#[expect(clippy::needless_pass_by_value, reason = "the layer gives it away")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref().copied()).unwrap_or("not a text");
    let mut response = Problem::internal("this request failed; the log says why").into_response();
    response.extensions_mut().insert(Panicked(brief(text)));
    response
}

/// Ends a request that takes too long.
async fn in_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let Some(limit) = allowed(&request, limit) else { return next.run(request).await };
    let late = |_| {
        let detail = "this took too long, and may or may not have been done; try again in a moment";
        Problem::unavailable(detail).into_response()
    };
    timeout(limit, next.run(request)).await.unwrap_or_else(late)
}

/// How long `request` may take, if that is limited: what it may wait for besides has a limit of its own.
fn allowed(request: &Request, limit: Duration) -> Option<Duration> {
    let route = request.extensions().get().map_or("", MatchedPath::as_str);
    if limit.is_zero() || route == super::SOCKETS {
        return None;
    }
    let headers = request.headers();
    let has_body =
        headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING);
    let body = if has_body { body::PATIENCE + limits::PATIENCE } else { Duration::ZERO };
    let wait = if route == super::JOB { Duration::from_secs(jobs::LONGEST_WAIT) } else { Duration::ZERO };
    Some(limit + body + wait)
}
