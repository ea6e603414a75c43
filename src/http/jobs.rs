//! `POST /v1/jobs` and `GET /v1/jobs/{id}?wait=10s`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{error::Category, value::RawValue};

use super::{Route, bearer::Bearer, body, limits::Held, once, problem::Problem, quota};
use crate::{
    auth::Caller,
    heavy,
    pipeline::{FieldError, Rejected, brief},
    queue::{Look, OnceKey, Push, Pushed, State as JobState},
};

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
    let bearer = Bearer::verify(&headers, &state).map_err(Problem::from);
    let (bearer, key) = match bearer.and_then(|bearer| Ok((bearer, once::key(&headers)?))) {
        Ok(asked) => asked,
        Err(problem) => {
            body::discard(body, state.limits.body).await;
            return Err(problem);
        }
    };
    let (body, _held) = receive(&state, bearer.caller(), body).await?;
    let admit = || admit(&state, &bearer, key.as_deref(), &body);
    let Asked { route, queue, data, key } = heavy::beside(body.len(), admit).await?;
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

/// Reads the body of a request of `caller`, within the memory that there is for bodies; they take it while they are held.
async fn receive(state: &super::State, caller: &Caller, body: Body) -> Result<(Vec<u8>, Held), Problem> {
    let limit = state.limits.body;
    // One that is too large is not kept.
    let size = body::size(&body).map_or(limit, |size| if size > limit { 0 } else { size });
    let mut held = match state.limits.bodies.take(caller.user(), size).await {
        Ok(held) => held,
        Err(problem) => {
            body::discard(body, limit).await;
            return Err(problem);
        }
    };
    let body = body::read(body, limit).await?;
    held.shrink_to(body.len());
    Ok((body, held))
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
    let caller = bearer.caller();
    let token = bearer.token();
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
struct Status {
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
) -> Result<Response, Problem> {
    let Path(id) = id.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    let Query(patience) = patience.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    let until = Instant::now() + patience.parse()?;
    let bearer = Bearer::verify(&headers, &state)?;
    let caller = bearer.caller();
    let wait = state.notifier.wait(&id);
    let mut waits = None;
    loop {
        let ended = wait.ended();
        let (status, held) = status(&state, caller, &id).await?;
        let left = until.saturating_duration_since(Instant::now());
        // A job that is over may have an outcome that is no longer kept.
        let is_over = status.outcome.is_some() || matches!(status.state, JobState::Done | JobState::Failed);
        if is_over || left.is_zero() || state.stop.is_cancelled() {
            return answer(&status, held);
        }
        drop((status, held));
        if waits.is_none() {
            let refused =
                |_| Problem::unavailable("too many requests wait for an outcome; ask again without wait");
            let own = state.waits.enter(&state.quota, caller.user())?;
            waits = Some((own, state.limits.waits.try_acquire().map_err(refused)?));
        }
        tokio::select! {
            () = ended => {}
            () = tokio::time::sleep(left.min(LOOK_AGAIN)) => {}
            () = state.stop.cancelled() => {}
        }
    }
}

/// An answer that takes the memory that is held for it until it is sent, or its client is gone.
fn answer(status: &Status, mut held: Held) -> Result<Response, Problem> {
    let json = serde_json::to_vec(status).map_err(|error| Problem::internal(error.to_string()))?;
    held.shrink_to(json.len());
    let kind = [(header::CONTENT_TYPE, "application/json")];
    Ok((kind, Bytes::from_owner(Sent { json, _held: held })).into_response())
}

/// The bytes of an answer.
struct Sent {
    json: Vec<u8>,
    _held: Held,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.json
    }
}

/// The state of a job, and the memory that it takes.
async fn status(state: &super::State, caller: &Caller, id: &str) -> Result<(Status, Held), Problem> {
    let mut expected = state.limits.outcome;
    loop {
        let held = state.limits.answers.take(caller.user(), expected).await?;
        let (status, bytes) = look(state, caller, id).await?;
        if bytes <= expected {
            return Ok((status, held));
        }
        // Given back before more is asked for, so that nobody waits with his hands full.
        drop((status, held));
        expected = bytes;
    }
}

/// The state of a job, and how many bytes were read to find it.
async fn look(state: &super::State, caller: &Caller, id: &str) -> Result<(Status, usize), Problem> {
    for (&queue, route) in &state.routes {
        let Some(Look { state, data, outcome }) = route.inbox.look(id).await? else { continue };
        let bytes = outcome.as_ref().map_or(0, |outcome| outcome.profile.get().len());
        let owner = match (&outcome, data) {
            (Some(outcome), _) => Some(outcome.user.clone()),
            (None, Some(data)) => heavy::beside(data.len(), || route.intake.owner(queue, &data)).await,
            (None, None) => None,
        };
        if owner.as_deref() == Some(caller.user()) {
            let (id, outcome) = (id.to_owned(), outcome.map(|outcome| outcome.profile));
            return Ok((Status { id, queue, state, outcome }, bytes));
        }
    }
    Err(Problem::not_found("you have no such job, or its outcome is no longer kept"))
}
