//! The page at `/`, for trying the service in a browser. It is built into the binary, and fetches nothing from elsewhere.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::ConnectInfo,
    http::{
        HeaderName,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY},
        request::Parts,
    },
    response::{IntoResponse, Response},
    routing::get,
};

use super::own_page::OwnPage;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

const PAGE: &str = include_str!("page/index.html");
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The path, media type and text of each part besides the page itself.
const PARTS: &[(&str, &str, &str)] = &[
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

/// The page and its parts. With `own`, it can ask for tokens.
pub(super) fn router(own: Option<Arc<OwnPage>>) -> Router<Arc<super::State>> {
    let page = get(move |peer, request| async move { page(own.as_deref(), peer, &request) });
    let part = |router: Router<_>, &(path, kind, text)| {
        router.route(path, get(move || async move { (headers(kind, "no-cache"), text) }))
    };
    PARTS.iter().fold(Router::new().route("/", page), part)
}

/// The page, which is told the version and, if it may ask for tokens, its proof. Nobody keeps it: the proof is one process's.
fn page(own: Option<&OwnPage>, ConnectInfo(peer): ConnectInfo<SocketAddr>, request: &Parts) -> Response {
    let proof = own.and_then(|own| own.proof(peer, request)).unwrap_or_default();
    let text = PAGE.replace("{version}", env!("CARGO_PKG_VERSION")).replace("{proof}", proof);
    (headers("text/html; charset=utf-8", "no-store"), text).into_response()
}

fn headers(kind: &'static str, kept: &'static str) -> [(HeaderName, &'static str); 4] {
    [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, kept),
    ]
}
