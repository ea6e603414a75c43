//! `POST /v1/token`: a token for anybody who asks, to try the page. Only while the signing key is our own, only for our own
//! page on this machine.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Extension, Json,
    extract::{ConnectInfo, Request, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};

use super::{body, own_page::OwnPage, problem::Problem};
use crate::pipeline::FieldError;

const LIFETIME: Duration = Duration::from_hours(1);

/// The largest body, in bytes.
const BODY: usize = 16 << 10;

#[derive(Deserialize)]
struct Wanted {
    user: String,
}

#[derive(Serialize)]
pub(super) struct Given {
    user: String,
    token: String,
}

/// Makes a token for the named user, if our own page asks.
pub(super) async fn create(
    State(state): State<Arc<super::State>>,
    Extension(page): Extension<Arc<OwnPage>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Result<(StatusCode, Json<Given>), Problem> {
    let (request, body) = request.into_parts();
    if !page.sent(peer, &request) {
        body::discard(body, BODY).await;
        return Err(Problem::not_found(
            "tokens are only given to the service's own page, on this machine and through no proxy: reload it, or use \
             octavo token --user U",
        ));
    }
    let body = body::read(body, BODY).await?;
    let Wanted { user } = serde_json::from_slice(&body)
        .map_err(|error| Problem::bad_request(format!("the body is not {{\"user\"}}: {error}")))?;
    if user.is_empty() {
        return Err(Problem::invalid(vec![FieldError::new("user", "must not be empty")]));
    }
    let token = state.auth.sign(&user, LIFETIME).map_err(|error| Problem::internal(error.to_string()))?;
    Ok((StatusCode::CREATED, Json(Given { user, token })))
}
