//! The page at `/` to try the service in a browser. It is in the binary, and fetches nothing from elsewhere.

use std::sync::Arc;

use axum::{
    Router,
    http::header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    },
    response::IntoResponse,
    routing::get,
};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// The page and its parts.
pub(super) fn router() -> Router<Arc<super::State>> {
    Router::new()
        .route("/", part("text/html; charset=utf-8", include_str!("page/index.html")))
        .route("/assets/style.css", part("text/css; charset=utf-8", include_str!("page/style.css")))
        .route("/assets/app.js", part("text/javascript; charset=utf-8", include_str!("page/app.js")))
        .route("/assets/socket.js", part("text/javascript; charset=utf-8", include_str!("page/socket.js")))
}

fn part(kind: &'static str, text: &'static str) -> axum::routing::MethodRouter<Arc<super::State>> {
    get(move || async move {
        let headers = [
            (CONTENT_TYPE, kind),
            (CONTENT_SECURITY_POLICY, POLICY),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
            (CACHE_CONTROL, "no-cache"),
        ];
        (headers, text).into_response()
    })
}
