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
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{error::Category, value::RawValue};

use super::{Route, body, once, problem::Problem, quota};
use crate::{
    auth::{Auth, Caller, TokenError},
    pipeline::{FieldError, Rejected, brief},
    queue::{Look, OnceKey, Push, Pushed, State as JobState},
};

/// Who sends a request, and the token that proves it.
pub(super) struct Bearer {
    caller: Caller,
    token: String,
}

impl Bearer {
    /// The caller that the request's `Authorization` header proves.
    ///
    /// # Errors
    /// When it proves nobody.
    pub(super) fn verify(headers: &HeaderMap, auth: &Auth) -> Result<Self, TokenError> {
        let header = headers.get(header::AUTHORIZATION).ok_or(TokenError::Missing)?;
        let header = header.to_str().map_err(|_| TokenError::Malformed)?;
        let (scheme, token) = header.split_once(' ').ok_or(TokenError::Malformed)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(TokenError::Malformed);
        }
        let token = token.trim();
        Ok(Self { caller: auth.verify(token)?, token: token.to_owned() })
    }

    /// The caller.
    pub(super) fn caller(&self) -> &Caller {
        &self.caller
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

/// Accepts a job: 202 with its id, once it is in its queue. A repeat with the same `Idempotency-Key` is the same job.
pub(super) async fn create(
    State(state): State<Arc<super::State>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let bearer = Bearer::verify(&headers, &state.auth).map_err(Problem::from);
    let (bearer, key) = match bearer.and_then(|bearer| Ok((bearer, once::key(&headers)?))) {
        Ok(asked) => asked,
        Err(problem) => {
            body::discard(body, state.max_body_bytes).await;
            return Err(problem);
        }
    };
    let body = body::read(body, state.max_body_bytes).await?;
    let Asked { route, queue, data, key } = admit(&state, &bearer, key.as_deref(), &body)?;
    let push = Push { data, user: Some(bearer.caller().user()), key: key.as_ref() };
    match route.inbox.push(push).await? {
        Pushed::Added { id, left } => {
            Ok((quota::left(&state.quota, left), accepted(&id, queue)).into_response())
        }
        Pushed::Before(id) => Ok(([(once::REPLAYED, "true")], accepted(&id, queue)).into_response()),
        Pushed::KeyTaken => Err(once::taken()),
        Pushed::Over { quota, wait } => Err(quota::over(&state.quota, quota, wait)),
    }
}

fn accepted(id: &str, queue: &str) -> Response {
    let status_url = format!("/v1/jobs/{id}");
    let location = [(header::LOCATION, status_url.as_str())];
    (StatusCode::ACCEPTED, location, Json(Accepted { id, queue, status_url: &status_url })).into_response()
}

/// A job that may go into its queue.
struct Asked<'s> {
    route: &'s Route,
    queue: &'static str,
    data: Vec<u8>,
    key: Option<OnceKey>,
}

/// Checks a body; returns the data to enqueue, and where it goes.
fn admit<'s>(
    state: &'s super::State,
    bearer: &Bearer,
    key: Option<&str>,
    body: &[u8],
) -> Result<Asked<'s>, Problem> {
    // serde would accept an array as the fields of a struct.
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
    let admit = |token: &str| route.intake.admit(name, data.get().as_bytes(), caller, token);
    // Without the token: a repeat with a newer token is the same request.
    let once = |key: &str| admit("").map(|asked| OnceKey::new(caller.user(), key, name, &asked));
    let key = key.map(once).transpose()?;
    Ok(Asked { route, queue: name, data: admit(token)?, key })
}

impl From<Rejected> for Problem {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::AnotherUser => Self::forbidden("data.Id is not the token's user; leave it out"),
            Rejected::Invalid(invalid) => Self::invalid(invalid.fields),
        }
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

/// The longest wait of a request, in seconds: proxies give up on longer ones.
pub const LONGEST_WAIT: u64 = 60;

/// How often to check anyway, in case the news that a job has ended is missed.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The state of one of the caller's jobs; anybody else's is not found. With `?wait=10s`, answers once it is over, or
/// after that time.
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
    let _counted =
        if patience.wait.is_some() { Some(state.waits.enter(&state.quota, caller.user())?) } else { None };
    let wait = state.notifier.wait(&id);
    loop {
        let ended = wait.ended();
        let status = status(&state, &caller, &id).await?;
        let left = until.saturating_duration_since(Instant::now());
        // A job that is over may have an outcome that is no longer kept.
        let is_over = status.outcome.is_some() || matches!(status.state, JobState::Done | JobState::Failed);
        if is_over || left.is_zero() {
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
