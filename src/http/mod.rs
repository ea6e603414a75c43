//! The HTTP side: the jobs API, dead letters for admins, health and metrics, and the page.

mod admin;
mod bearer;
mod body;
mod health;
mod jobs;
mod layers;
mod letter;
mod letter_data;
mod limits;
mod once;
mod own_page;
mod page;
mod problem;
mod quota;
mod ready;
mod request_id;
mod token;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Extension, Router,
    http::{Method, header},
    routing::{get, post},
};
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tower_http::cors::{AllowOrigin, CorsLayer};

pub use jobs::LONGEST_WAIT;
pub use letter::{Listing, Summary};
pub use limits::Limits;
pub use quota::Waits;

use crate::{
    auth::Auth,
    character::Store,
    config::{self, Config, Origins, Place, Storage},
    metrics::Metrics,
    notifier::Notifier,
    pipeline::Intake,
    queue::{Inbox, Queue, handler::Handler, letters::Letters},
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
    /// What all requests together may cost.
    pub limits: Limits,
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

/// The paths that have time limits of their own: one job, and Socket.IO.
const JOB: &str = "/v1/jobs/{id}";
const SOCKETS: &str = "/socket.io/";

/// One of the addresses that the service listens on.
#[derive(Debug, Clone, Copy)]
pub struct Address {
    /// The one that settings call so.
    pub place: Place,
    /// Its port.
    pub port: u16,
}

/// All routes that are at `address`; `sockets`, the Socket.IO endpoint, may be among them.
pub fn router(state: &Arc<State>, sockets: &Router, config: &Config, address: Address) -> Router {
    let Address { place, port } = address;
    let server = &config.server;
    let has_page = server.page == place;
    let mut router = Router::new().route("/livez", get(ready::livez)).route("/readyz", get(ready::readyz));
    if server.health == place {
        router = router.route("/health", get(health::health));
    }
    if server.metrics == place {
        router = router.route("/metrics", get(health::metrics));
    }
    if server.admin == place {
        router = router.merge(admin::router());
    }
    if has_page && config.storage.makes_secret() {
        let own = Arc::new(own_page::OwnPage::new(port));
        let token = post(token::create).layer(Extension(Arc::clone(&own)));
        router = router.merge(page::router(Some(own))).route("/v1/token", token);
    } else if has_page {
        router = router.merge(page::router(None));
    }
    let router = router
        .method_not_allowed_fallback(problem::no_such_method)
        .fallback(problem::no_such_page)
        .with_state(Arc::clone(state));
    let layers = |cors| layers::Layers {
        metrics: Arc::clone(&state.metrics),
        request_timeout: server.request_timeout,
        cors,
    };
    let router = layers::around(router, layers(None));
    if place != Place::Main && !has_page {
        return router;
    }
    let api = Router::new()
        .route("/v1/jobs", post(jobs::create))
        .route(JOB, get(jobs::show))
        .method_not_allowed_fallback(problem::no_such_method)
        .with_state(Arc::clone(state))
        .merge(sockets.clone());
    router.merge(layers::around(api, layers(Some(cors(&config.socket.origins)))))
}

/// The Socket.IO endpoint alone.
pub fn sockets_only(state: &State, sockets: &Router, config: &Config) -> Router {
    let layers = layers::Layers {
        metrics: Arc::clone(&state.metrics),
        request_timeout: config.server.request_timeout,
        cors: Some(cors(&config.socket.origins)),
    };
    layers::around(sockets.clone().fallback(problem::no_such_page), layers)
}

/// Lets pages from other origins call the API; it changes nothing for other clients.
fn cors(origins: &Origins) -> CorsLayer {
    let origins = match origins {
        Origins::Any => AllowOrigin::any(),
        Origins::Only(list) => AllowOrigin::list(list.iter().filter_map(|origin| origin.parse().ok())),
    };
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, once::KEY])
        .expose_headers([
            header::LOCATION,
            header::RETRY_AFTER,
            once::REPLAYED,
            request_id::HEADER,
            quota::POLICY,
            quota::LEFT,
        ])
}
