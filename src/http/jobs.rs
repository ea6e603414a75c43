//! `POST /v1/jobs` and `GET /v1/jobs/{id}?wait=10s`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json,
    body::Body,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode, header},
    response::{AppendHeaders, IntoResponse},
};
use serde::{Deserialize, Serialize};
use serde_json::{error::Category, value::RawValue};

use super::{Route, body, problem::Problem};
use crate::{
    auth::{Auth, Caller, TokenError},
    pipeline::{FieldError, Rejected, brief},
    queue::{Look, State as JobState},
};

/// Who sends a request, and the token that proves it.
pub(super) struct Bearer {
    caller: Caller,
    token: String,
}

impl Bearer {
    fn verify(headers: &HeaderMap, auth: &Auth) -> Result<Self, TokenError> {
        let header = headers.get(header::AUTHORIZATION).ok_or(TokenError::Missing)?;
        let header = header.to_str().map_err(|_| TokenError::Malformed)?;
        let (scheme, token) = header.split_once(' ').ok_or(TokenError::Malformed)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(TokenError::Malformed);
        }
        let token = token.trim();
        Ok(Self { caller: auth.verify(token)?, token: token.to_owned() })
    }
}

#[derive(Deserialize)]
struct NewJob<'a> {
    queue: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Accepted<'a> {
    id: &'a str,
    queue: &'a str,
    status_url: &'a str,
}

/// Takes a job: 202 with its id, once it is in its queue.
pub(super) async fn create(
    State(state): State<Arc<super::State>>,
    headers: HeaderMap,
    body: Body,
) -> Result<impl IntoResponse, Problem> {
    let bearer = match Bearer::verify(&headers, &state.auth) {
        Ok(bearer) => bearer,
        Err(error) => {
            body::discard(body, state.max_body_bytes).await;
            return Err(error.into());
        }
    };
    let body = body::read(body, state.max_body_bytes).await?;
    let (route, queue, data) = admit(&state, &bearer, &body)?;
    let id = route.inbox.push(data).await?;
    let status_url = format!("/v1/jobs/{id}");
    let accepted = Json(Accepted { id: &id, queue, status_url: &status_url }).into_response();
    Ok((StatusCode::ACCEPTED, AppendHeaders([(header::LOCATION, status_url)]), accepted))
}

/// Checks a body, and gives the data to enqueue and where.
fn admit<'s>(
    state: &'s super::State,
    bearer: &Bearer,
    body: &[u8],
) -> Result<(&'s Route, &'static str, Vec<u8>), Problem> {
    // serde would take an array as the fields of a struct.
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(Problem::invalid(vec![FieldError::new(
            "body",
            "must be an object {\"queue\", \"data\"}",
        )]));
    }
    let NewJob { queue, data } = serde_json::from_slice(body).map_err(|error| match error.classify() {
        Category::Data => Problem::invalid(vec![FieldError::new(
            "body",
            format!("is not {{\"queue\", \"data\"}}: {error}"),
        )]),
        _ => Problem::bad_request(format!("the body is not valid JSON: {error}")),
    })?;
    let missing = [("queue", queue.is_none()), ("data", data.is_none())];
    let missing: Vec<_> = missing
        .iter()
        .filter(|(_, is)| *is)
        .map(|(field, _)| FieldError::new(*field, "is missing"))
        .collect();
    let (Some(queue), Some(data)) = (queue, data) else { return Err(Problem::invalid(missing)) };
    let Some((name, route)) = state.routes.get_key_value(queue.as_str()) else {
        let known = state.routes.keys().copied().collect::<Vec<_>>().join(", ");
        return Err(Problem::not_found(format!(
            "there is no queue \"{}\"; there are {known}",
            brief(&queue)
        )));
    };
    let Bearer { caller, token } = bearer;
    match route.intake.admit(name, data.get().as_bytes(), caller, token) {
        Ok(data) => Ok((route, name, data)),
        Err(Rejected::AnotherUser) => {
            Err(Problem::forbidden("data.Id is not the user of the token; leave it out"))
        }
        Err(Rejected::Invalid(invalid)) => Err(Problem::invalid(invalid.fields)),
    }
}

#[derive(Serialize)]
pub(super) struct Status {
    id: String,
    queue: &'static str,
    state: JobState,
    outcome: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
pub(super) struct Patience {
    wait: Option<String>,
}

impl Patience {
    /// How long the request waits for the outcome: `10s`, or `10`.
    fn parse(&self) -> Result<Duration, Problem> {
        let Some(wait) = &self.wait else { return Ok(Duration::ZERO) };
        let seconds =
            wait.strip_suffix('s').unwrap_or(wait).parse().ok().filter(|seconds| *seconds <= LONGEST_WAIT);
        seconds.map(Duration::from_secs).ok_or_else(|| {
            Problem::bad_request(format!(
                "wait must be a number of seconds up to {LONGEST_WAIT}, as in ?wait=10s"
            ))
        })
    }
}

/// A request waits so many seconds at the most: proxies give up on longer ones.
const LONGEST_WAIT: u64 = 60;

/// Should it not be heard that a job has ended, it is looked at after this time.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Where a job of the caller stands; another's is not found. With `?wait=10s`, once it has an outcome, or after that time.
pub(super) async fn show(
    State(state): State<Arc<super::State>>,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
    patience: Result<Query<Patience>, QueryRejection>,
) -> Result<Json<Status>, Problem> {
    let Path(id) = id.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    let Query(patience) = patience.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    let until = Instant::now() + patience.parse()?;
    let Bearer { caller, .. } = Bearer::verify(&headers, &state.auth)?;
    let wait = state.notifier.wait(&id);
    loop {
        let ended = wait.ended();
        let status = status(&state, &caller, &id).await?;
        let left = until.saturating_duration_since(Instant::now());
        if status.outcome.is_some() || left.is_zero() {
            return Ok(Json(status));
        }
        tokio::select! {
            () = ended => {}
            () = tokio::time::sleep(left.min(LOOK_AGAIN)) => {}
            () = state.stop.cancelled() => return Ok(Json(status)),
        }
    }
}

async fn status(state: &super::State, caller: &Caller, id: &str) -> Result<Status, Problem> {
    for (&queue, route) in &state.routes {
        let Some(Look { state, data, outcome }) = route.inbox.look(id).await? else { continue };
        let owner = match (&outcome, data) {
            (Some(outcome), _) => Some(outcome.user.clone()),
            (None, data) => data.and_then(|data| route.intake.owner(queue, &data)),
        };
        if owner.as_deref() == Some(caller.user()) {
            let (id, outcome) = (id.to_owned(), outcome.map(|outcome| outcome.profile));
            return Ok(Status { id, queue, state, outcome });
        }
    }
    Err(Problem::not_found("you have no such job, or its outcome is no longer kept"))
}
