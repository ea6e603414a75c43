//! `/admin/dead-letters`: shows dead letters and retries them, for admins.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json, Router,
    body::Body,
    extract::{
        FromRequestParts, Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::request::Parts,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    bearer::Bearer,
    body,
    letter::{Listing, Summary},
    letter_data,
    problem::Problem,
};
use crate::{
    pipeline::{FieldError, Redrive, brief},
    queue::letters::{Driven, Filter, Order, Range, SCAN},
};

/// The routes of dead letters.
pub(super) fn router() -> Router<Arc<super::State>> {
    Router::new()
        .route("/admin/dead-letters", get(list))
        .route("/admin/dead-letters/retry", post(retry_all))
        .route("/admin/dead-letters/{layout}/{queue}/{id}", get(show))
        .route("/admin/dead-letters/{layout}/{queue}/{id}/retry", post(retry))
}

/// The user id of an admin; anybody else is refused.
struct Admin(String);

impl FromRequestParts<Arc<super::State>> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<super::State>) -> Result<Self, Problem> {
        let bearer = Bearer::verify(&parts.headers, state)?;
        if !bearer.caller().is_admin() {
            return Err(Problem::forbidden(
                "this needs an admin's token, with role \"admin\": octavo token --admin --user U makes one",
            ));
        }
        Ok(Self(bearer.caller().user().to_owned()))
    }
}

/// Which letters are asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    layout: Option<String>,
    queue: Option<String>,
    reason: Option<String>,
    id: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

impl Wanted {
    /// The filter, and the most letters to return.
    fn check(
        wanted: Result<Query<Self>, QueryRejection>,
        state: &super::State,
    ) -> Result<(Filter, usize), Problem> {
        let Query(Self { layout, queue, reason, id, after, limit }) =
            wanted.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
        let (mut wrong, limit) = (Vec::new(), limit.unwrap_or(100));
        if let Some(queue) = queue.as_deref().filter(|queue| !state.routes.contains_key(queue)) {
            let known = state.routes.keys().copied().collect::<Vec<_>>().join(", ");
            wrong.push(FieldError::new("queue", format!("is \"{}\"; there are {known}", brief(queue))));
        }
        let layouts = state.queues.iter().map(|queue| queue.layout()).collect::<BTreeSet<_>>();
        if let Some(layout) = layout.as_deref().filter(|layout| !layouts.contains(layout)) {
            let known = layouts.into_iter().collect::<Vec<_>>().join(", ");
            wrong.push(FieldError::new("layout", format!("is \"{}\"; there are {known}", brief(layout))));
        }
        if !(1..=SCAN).contains(&limit) {
            wrong.push(FieldError::new("limit", format!("is {limit}, must be from 1 to {SCAN}")));
        }
        let range = match after.as_deref().map_or(Ok(Range::default()), str::parse) {
            Ok(range) if wrong.is_empty() => range,
            Ok(_) => return Err(Problem::invalid(wrong)),
            Err(error) => {
                wrong.push(FieldError::new("after", error));
                return Err(Problem::invalid(wrong));
            }
        };
        Ok((Filter { layout, queue, reason, id, range }, limit))
    }
}

async fn list(
    _admin: Admin,
    State(state): State<Arc<super::State>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Listing>, Problem> {
    let (filter, limit) = Wanted::check(wanted, &state)?;
    let page = state.letters.list(&filter, Order::Newest, limit).await?;
    let letters = page.letters.into_iter().map(Summary::from).collect();
    Ok(Json(Listing { letters, next: page.next.map(|range| range.to_string()) }))
}

/// A letter's layout, queue and id.
type Address = Result<Path<(String, String, String)>, PathRejection>;

#[derive(Deserialize)]
struct Look {
    #[serde(default)]
    full: bool,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    summary: Summary,
    data: Value,
}

fn no_such_letter() -> Problem {
    Problem::not_found("there is no such dead letter; it was retried, or has expired")
}

async fn show(
    _admin: Admin,
    State(state): State<Arc<super::State>>,
    address: Address,
    look: Result<Query<Look>, QueryRejection>,
) -> Result<Json<Shown>, Problem> {
    let Path((layout, queue, id)) = address.map_err(|error| Problem::bad_request(error.body_text()))?;
    let Query(Look { full }) = look.map_err(|error| Problem::bad_request(error.body_text()))?;
    let shown = state.letters.show(&layout, &queue, &id).await?;
    let (letter, data) = shown.ok_or_else(no_such_letter)?;
    Ok(Json(Shown { summary: letter.into(), data: letter_data::shown(&data, full) }))
}

fn redrive(state: &super::State) -> Redrive<'_> {
    Redrive { letters: &*state.letters, auth: &state.auth, metrics: &state.metrics }
}

#[derive(Serialize)]
struct Retried {
    driven: u64,
}

async fn retry(
    Admin(admin): Admin,
    State(state): State<Arc<super::State>>,
    address: Address,
) -> Result<Json<Retried>, Problem> {
    let Path((layout, queue, id)) = address.map_err(|error| Problem::bad_request(error.body_text()))?;
    match redrive(&state).one(&layout, &queue, &id).await? {
        Driven::Again => {
            tracing::info!(admin, layout, queue, job = id, driven = 1, "dead letters retried");
            Ok(Json(Retried { driven: 1 }))
        }
        Driven::Gone => Err(no_such_letter()),
        Driven::InQueue => Err(Problem::conflict(
            "the queue already has a job with this id, added or retried by other means since this one died",
        )),
    }
}

#[derive(Serialize)]
struct RetriedAll {
    driven: u64,
    in_queue: u64,
    left: u64,
    next: Option<String>,
}

/// The largest body that is read to say that there should be none, in bytes.
const BODY: usize = 16 << 10;

async fn retry_all(
    Admin(admin): Admin,
    State(state): State<Arc<super::State>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
    body: Body,
) -> Result<Json<RetriedAll>, Problem> {
    let body = body::read(body, BODY).await?;
    if !matches!(body.trim_ascii(), b"" | b"null" | b"{}") {
        return Err(Problem::bad_request(
            "queue, layout, reason, after and limit go in the query, not in the body",
        ));
    }
    let (filter, limit) = Wanted::check(wanted, &state)?;
    let done = redrive(&state).all(&filter, limit).await?;
    let (driven, in_queue, left) = (done.driven, done.in_queue, done.left);
    let Filter { queue, reason, .. } = filter;
    tracing::info!(admin, queue, reason, driven, in_queue, left, "dead letters retried");
    Ok(Json(RetriedAll { driven, in_queue, left, next: done.next.map(|range| range.to_string()) }))
}
