//! `POST /v1/token`: a token for anybody who asks, to try the page. Only while the signing key is our own, only on this
//! machine.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{ConnectInfo, State, rejection::JsonRejection},
    http::{HeaderMap, StatusCode, header, uri::Authority},
};
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use crate::{origin, pipeline::FieldError};

const LIFETIME: Duration = Duration::from_hours(1);

#[derive(Deserialize)]
pub(super) struct Wanted {
    user: String,
}

#[derive(Serialize)]
pub(super) struct Given {
    user: String,
    token: String,
}

/// Makes a token for the named user, if the request comes from this machine.
pub(super) async fn create(
    State(state): State<Arc<super::State>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Result<(StatusCode, Json<Given>), Problem> {
    if !is_local(peer, &headers) {
        return Err(Problem::not_found("tokens are only given on this machine; use octavo token --user U"));
    }
    let Json(Wanted { user }) = wanted.map_err(|error| Problem::bad_request(error.body_text()))?;
    if user.is_empty() {
        return Err(Problem::invalid(vec![FieldError::new("user", "must not be empty")]));
    }
    let token = state.auth.sign(&user, LIFETIME).map_err(|error| Problem::internal(error.to_string()))?;
    Ok((StatusCode::CREATED, Json(Given { user, token })))
}

/// Whether a request comes from this machine, was sent to one of this machine's names, by our own page or by no page, and
/// not through a proxy. A foreign page is not local, nor is a foreign name that resolves to 127.0.0.1 (DNS rebinding).
fn is_local(peer: SocketAddr, headers: &HeaderMap) -> bool {
    let proxied =
        ["forwarded", "x-forwarded-for", "x-real-ip", "via"].iter().any(|name| headers.contains_key(*name));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let named = host.is_some_and(|host| matches!(host.host(), "localhost" | "127.0.0.1" | "[::1]"));
    peer.ip().to_canonical().is_loopback() && named && !proxied && origin::is_own(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(peer: &str, headers: &[(&str, &str)]) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse::<header::HeaderName>().unwrap(), value.parse().unwrap()))
            .collect();
        is_local(peer.parse().unwrap(), &headers)
    }

    #[test]
    fn only_this_machine_by_its_own_names_is_local() {
        assert!(local("127.0.0.1:1", &[("host", "localhost:4016")]));
        assert!(local("[::1]:1", &[("host", "[::1]:4016")]));
        assert!(!local("10.0.0.7:1", &[("host", "localhost:4016")]));
        assert!(!local("127.0.0.1:1", &[("host", "rebound.example:4016")]));
        assert!(!local("127.0.0.1:1", &[("host", "localhost"), ("x-forwarded-for", "10.0.0.7")]));
        assert!(local("127.0.0.1:1", &[("host", "localhost:4016"), ("origin", "http://localhost:4016")]));
        assert!(!local("127.0.0.1:1", &[("host", "localhost:4016"), ("origin", "https://foreign.example")]));
        assert!(!local("127.0.0.1:1", &[]));
    }
}
