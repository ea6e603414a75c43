//! The page at `/`, for trying the service in a browser. It is built into the binary, and fetches nothing from elsewhere.

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

const PAGE: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The path, media type and text of each part.
const PARTS: &[(&str, &str, &str)] = &[
    ("/", PAGE, include_str!("page/index.html")),
    ("/assets/style.css", STYLE, include_str!("page/style.css")),
    ("/assets/app.js", SCRIPT, include_str!("page/app.js")),
    ("/assets/card.js", SCRIPT, include_str!("page/card.js")),
    ("/assets/create.js", SCRIPT, include_str!("page/create.js")),
    ("/assets/dom.js", SCRIPT, include_str!("page/dom.js")),
    ("/assets/forms.js", SCRIPT, include_str!("page/forms.js")),
    ("/assets/jobs.js", SCRIPT, include_str!("page/jobs.js")),
    ("/assets/outcomes.js", SCRIPT, include_str!("page/outcomes.js")),
    ("/assets/pictures.js", SCRIPT, include_str!("page/pictures.js")),
    ("/assets/service.js", SCRIPT, include_str!("page/service.js")),
    ("/assets/session.js", SCRIPT, include_str!("page/session.js")),
    ("/assets/shelf.js", SCRIPT, include_str!("page/shelf.js")),
    ("/assets/socket.js", SCRIPT, include_str!("page/socket.js")),
    ("/assets/welcome.js", SCRIPT, include_str!("page/welcome.js")),
];

/// The page and its parts.
pub(super) fn router() -> Router<Arc<super::State>> {
    PARTS.iter().fold(Router::new(), |router, &(path, kind, text)| router.route(path, part(kind, text)))
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
