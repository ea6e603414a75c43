//! The HTTP side: the jobs API, dead letters for admins, health and metrics, and the page.

mod admin;
mod body;
mod health;
mod jobs;
mod letter;
mod letter_data;
mod once;
mod page;
mod problem;
mod quota;
mod ready;
mod token;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    http::{Method, header},
    routing::{get, post},
};
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tower_http::cors::{AllowOrigin, CorsLayer};

pub use jobs::LONGEST_WAIT;
pub use letter::{Listing, Summary};
pub use quota::Waits;

use crate::{
    auth::Auth,
    character::Store,
    config::{self, Config, Origins, Storage},
    metrics::Metrics,
    notifier::Notifier,
    pipeline::Intake,
    queue::{Inbox, Queue, letters::Letters, worker::Handler},
};

/// What the handlers share.
pub struct State {
    /// Verifies and signs tokens.
    pub auth: Arc<Auth>,
    /// Where the jobs for each queue go.
    pub routes: BTreeMap<&'static str, Route>,
    /// Every queue that is served, in each of its layouts.
    pub queues: Vec<Arc<dyn Queue>>,
    /// Their dead letters.
    pub letters: Arc<dyn Letters>,
    /// The store, to check whether it answers.
    pub store: Arc<dyn Store>,
    /// Knows when jobs have ended.
    pub notifier: Notifier,
    /// The handlers that run the jobs, one for each domain.
    pub handlers: Vec<Arc<dyn Handler>>,
    /// Cancelled when the service is stopping.
    pub stop: CancellationToken,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// `embedded` or `servers`.
    pub mode: Mode,
    /// The largest request body, in bytes.
    pub max_body_bytes: usize,
    /// What one user may have.
    pub quota: config::Quota,
    /// The requests of each user that wait for an outcome.
    pub waits: quota::Waits,
    /// What an operator should know about the settings.
    pub warnings: Vec<&'static str>,
}

impl State {
    /// Whether every domain can run jobs now.
    async fn store_available(&self) -> bool {
        join_all(self.handlers.iter().map(|handler| handler.available())).await.into_iter().all(|there| there)
    }
}

/// Where the jobs for one queue go: past the intake, into the inbox.
#[derive(Clone)]
pub struct Route {
    /// Checks a job.
    pub intake: Arc<dyn Intake>,
    /// Enqueues it.
    pub inbox: Arc<dyn Inbox>,
}

/// Which storage the service runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "see config::Storage")]
pub enum Mode {
    Embedded,
    Servers,
}

impl Mode {
    /// Its name in the log and in `/health`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Servers => "servers",
        }
    }
}

impl From<&Storage> for Mode {
    fn from(storage: &Storage) -> Self {
        match storage {
            Storage::Embedded { .. } => Self::Embedded,
            Storage::Servers { .. } => Self::Servers,
        }
    }
}

/// All routes, including `sockets`, the Socket.IO endpoint.
pub fn router(state: Arc<State>, sockets: Router, config: &Config) -> Router {
    let api = Router::new()
        .route("/v1/jobs", post(jobs::create))
        .route("/v1/jobs/{id}", get(jobs::show))
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(cors(&config.socket.origins))
        .with_state(Arc::clone(&state));
    let mut router = page::router()
        .merge(admin::router())
        .route("/livez", get(ready::livez))
        .route("/readyz", get(ready::readyz))
        .route("/health", get(health::health))
        .route("/metrics", get(health::metrics));
    if config.storage.makes_secret() {
        router = router.route("/v1/token", post(token::create));
    }
    router
        .method_not_allowed_fallback(problem::no_such_method)
        .with_state(state)
        .merge(api)
        .merge(sockets)
        .fallback(problem::no_such_page)
}

/// Lets pages from other origins call the API; it changes nothing for other clients.
pub fn cors(origins: &Origins) -> CorsLayer {
    let origins = match origins {
        Origins::Any => AllowOrigin::any(),
        Origins::Only(list) => AllowOrigin::list(list.iter().filter_map(|origin| origin.parse().ok())),
    };
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, once::KEY])
        .expose_headers([header::LOCATION, header::RETRY_AFTER, once::REPLAYED, quota::POLICY, quota::LEFT])
}
