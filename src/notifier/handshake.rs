//! The part of a request that is kept for as long as its socket lives.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Uri, header},
};
use hyper::upgrade::OnUpgrade;

/// The headers that Engine.IO and the sign-in read.
const READ: [HeaderName; 4] = [header::SEC_WEBSOCKET_KEY, header::CONTENT_TYPE, header::ORIGIN, header::HOST];

/// The same request, rebuilt from copies of the parts that are read.
///
/// Engine.IO keeps the request that began a session until the session ends. As received, its headers and path are
/// slices of the connection's 16 kB read buffer, which would then be kept alive for each socket.
pub(super) fn lean(request: Request) -> Request {
    let (mut came, body) = request.into_parts();
    let mut request = Request::new(body);
    *request.method_mut() = came.method;
    *request.version_mut() = came.version;
    *request.uri_mut() = Uri::try_from(came.uri.to_string()).unwrap_or(came.uri);
    let read: Vec<_> = READ.iter().filter_map(|name| Some((name, copy(came.headers.get(name)?)?))).collect();
    let mut headers = HeaderMap::with_capacity(read.len());
    headers.extend(read.into_iter().map(|(name, value)| (name.clone(), value)));
    *request.headers_mut() = headers;
    if let Some(upgrade) = came.extensions.remove::<OnUpgrade>() {
        request.extensions_mut().insert(upgrade);
    }
    request
}

fn copy(value: &HeaderValue) -> Option<HeaderValue> {
    HeaderValue::from_bytes(value.as_bytes()).ok()
}
