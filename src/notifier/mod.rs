//! Sends browsers the outcomes of their jobs, over Socket.IO.

mod budgets;
mod doubt;
mod early;
mod entrance;
pub(crate) mod fuzzing;
mod handshake;
mod hub;
mod listen;
mod member;
mod packet;
mod pages;
mod profile;
mod response;
mod rooms;
mod sign_in;
mod transport;
mod user;
mod waiting;

use std::{future::ready, pin::pin, sync::Arc, time::Duration};

use axum::{Router, middleware::from_fn_with_state};
use futures_util::FutureExt;
use socketioxide::{
    SocketIo,
    extract::{SocketRef, TryData},
    handler::ConnectHandler,
};
use tokio::sync::mpsc;

pub use waiting::Wait;

use crate::{
    auth::{Auth, Caller},
    config::Config,
    metrics::Metrics,
    outcome::Outcome,
    queue::{
        log::{Grown, News, OutcomeLog, Place, Unheard},
        worker::Process,
    },
};
use budgets::All;
use entrance::{Entrance, enter};
use hub::Hub;
use listen::Shared;
use member::Position;
use response::Told;
use sign_in::{Door, PerUser, Shown};
use transport::Transport;
use waiting::Waiting;

/// Sends outcomes to the sockets of this process.
#[derive(Clone)]
pub struct Notifier {
    io: SocketIo,
    hub: Arc<Hub>,
    waiting: Arc<Waiting>,
}

impl Notifier {
    /// The Socket.IO endpoint: a route for each server that should have it, and the notifier behind it. `queues` are
    /// those whose outcomes it sends from `log`.
    pub fn new(
        auth: Arc<Auth>,
        metrics: Arc<Metrics>,
        config: &Config,
        (queues, log): (&'static [&'static str], Arc<dyn OutcomeLog>),
        process: &Process,
    ) -> (Router, Self) {
        let Config { socket: config, .. } = config;
        let (endpoint, io) = SocketIo::builder()
            .connect_timeout(SIGN_IN)
            .max_buffer_size(config.buffer)
            .max_payload(MAX_MESSAGE as u64)
            .ws_max_message_size(MAX_MESSAGE)
            .ws_max_frame_size(MAX_MESSAGE)
            .ws_read_buffer_size(READ_BUFFER)
            .build_svc();
        let budgets = All::new(config.total_bytes, config.user_bytes);
        let hub = Hub::new(log, budgets, process);
        let marking = process.end.clone().run_until_cancelled_owned(Arc::clone(&hub).mark());
        process.tasks.spawn("mark what was heard", marking.map(drop));
        let entrance = Entrance::new(config.max_strangers, MAX_MESSAGE);
        let shared = Arc::new(Shared {
            hub: Arc::clone(&hub),
            metrics: Arc::clone(&metrics),
            entrance: Arc::clone(&entrance),
            served: queues,
            known: config.queues.clone(),
            legacy: config.legacy,
        });
        let door = Arc::new(Door {
            auth,
            origins: config.origins.clone(),
            entrance: Arc::clone(&entrance),
            per_user: PerUser::new(config.max_per_user),
            buffer_bytes: config.buffer_bytes,
            shared,
        });
        let sign_in = move |socket: SocketRef, TryData(shown): TryData<Shown>| {
            ready(door.sign_in(&socket, shown.as_ref().ok()))
        };
        let resuming = Arc::clone(&hub);
        let connected = async move |socket: SocketRef| {
            let caller = socket.extensions.get::<Caller>();
            metrics.socket(1, caller.is_some());
            let from = socket.extensions.remove::<Position>();
            let transport = socket.extensions.get::<Arc<Transport>>();
            if let (Some(caller), Some(from), Some(transport)) = (caller, from, transport) {
                resuming.resume(socket, transport, caller.user(), from);
            }
        };
        io.ns("/", connected.with(sign_in));
        let router =
            Router::new().route_service("/socket.io/", endpoint).layer(from_fn_with_state(entrance, enter));
        (router, Self { io, hub, waiting: Arc::default() })
    }

    /// A job's outcome is now in its user's log.
    pub fn logged(&self, queue: &str, job: &str, outcome: &Outcome, place: &Place) {
        self.hub.logged(&outcome.user, place, &Told::of(queue, job, outcome));
        self.waiting.ended(job);
    }

    /// A job's outcome may now be in its user's log.
    pub fn grown(&self, job: &str, outcome: &Outcome) {
        self.hub.grown(&outcome.user);
        self.waiting.ended(job);
    }

    /// A job's outcome should have been in its user's log by now: sends it at once, and later only to sockets that have
    /// not had it.
    pub fn late(&self, queue: &str, job: &str, outcome: &Outcome) {
        self.hub.late(&outcome.user, &Told::of(queue, job, outcome));
    }

    /// Follows what comes from other processes: what they append to the logs, and messages for rooms.
    pub async fn follow(self, mut news: mpsc::UnboundedReceiver<News>) {
        while let Some(news) = news.recv().await {
            match news {
                News::Grown(grown) => {
                    for Grown { user, job } in &grown {
                        self.hub.grown(user);
                        self.waiting.ended(job);
                    }
                }
                News::Unheard(unheard) => {
                    for Unheard { user, queue } in &unheard {
                        self.hub.unheard(user, queue);
                    }
                }
                News::Message(message) => {
                    profile::emit(&self.io, &self.hub, &message);
                }
                News::Missed => {
                    self.hub.missed();
                    self.waiting.any();
                }
            }
        }
    }

    /// The bytes of outcomes that are under way to sockets.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.hub.budgets().used()
    }

    /// Waits for a job to end, on whichever process.
    #[must_use]
    pub fn wait(&self, job: &str) -> Wait {
        Arc::clone(&self.waiting).wait(job)
    }

    /// Closes all sockets; their clients reconnect by themselves. What is not closed after `patience` is `cut` from below: a
    /// client that takes nothing can hold up the closing of its socket.
    pub async fn close(&self, patience: Duration, cut: impl FnOnce()) {
        let mut closing = pin!(self.io.close());
        if tokio::time::timeout(patience, &mut closing).await.is_err() {
            cut();
            if tokio::time::timeout(patience, closing).await.is_err() {
                tracing::warn!("some sockets were not closed in time");
            }
        }
        self.hub.end().await;
    }
}

/// How long a session may take to sign in.
const SIGN_IN: Duration = Duration::from_secs(10);

/// The largest message from a client, in bytes: as in Node's Socket.IO, for services that emit documents.
const MAX_MESSAGE: usize = 1_000_000;

/// Bytes read from a socket at a time. Clients say little, and each socket keeps a buffer of this size.
const READ_BUFFER: usize = 512;
