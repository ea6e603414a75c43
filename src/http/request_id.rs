//! The header `x-request-id`: what a client, a proxy and the log call one request.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use ulid::Ulid;

/// The header of a request, and of its answer.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken from a request, in bytes.
const LONGEST: usize = 64;

/// A request's id. Its headers stay as they came.
#[derive(Clone)]
struct RequestId(HeaderValue);

/// Gives a request its id, and the answer too.
pub(super) async fn give(mut request: Request, next: Next) -> Response {
    let id = given(request.headers()).unwrap_or_else(made);
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    response.headers_mut().insert(HEADER, id);
    response
}

/// The id that a request was given.
pub(super) fn of(request: &Request) -> String {
    let id = request.extensions().get().and_then(|RequestId(id)| id.to_str().ok());
    id.unwrap_or_default().to_owned()
}

/// The id that the request came with, if it is short and visible: it goes into the log.
fn given(headers: &HeaderMap) -> Option<HeaderValue> {
    let id = headers.get(HEADER)?;
    let fits = (1..=LONGEST).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic);
    fits.then(|| id.clone())
}

fn made() -> HeaderValue {
    HeaderValue::try_from(Ulid::generate().to_string()).unwrap_or(HeaderValue::from_static("none"))
}
