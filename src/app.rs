//! The composition root: connects and binds everything, runs it, and stops it in order.

mod files;
mod listeners;
mod parts;
mod servers;

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, time::Duration};

use apalis_core::monitor::{Monitor, MonitorError};
use axum::Router;
use futures_util::{FutureExt, future::join_all};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;

pub use listeners::Addresses;
use listeners::Listeners;
use parts::{Parts, connect_storage};
use servers::Servers;

use crate::{
    character::{Characters, QUEUES},
    config::{Config, Place},
    embedded::OpenError,
    http::{self, Address, Limits, Mode, Route},
    metrics::Metrics,
    notifier::Notifier,
    pipeline::Pipeline,
    queue::{
        Inbox, Listener, Queue, QueueError,
        handler::Handler,
        log::News,
        worker::{Consumer, Process},
    },
    secret::SecretError,
    wire::Connections,
};

/// A service that is connected and bound, but not running yet.
pub struct App {
    config: Config,
    mode: Mode,
    /// The main server first.
    servers: Vec<(TcpListener, Router)>,
    addresses: Addresses,
    notifier: Notifier,
    workers: Vec<(Arc<dyn Queue>, Arc<dyn Handler>)>,
    listener: Option<(Listener, mpsc::UnboundedReceiver<News>)>,
    process: Process,
    metrics: Arc<Metrics>,
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum StartError {
    #[error("cannot reach Redis at {address}: {source}; is it running, and are {settings} right?")]
    Redis { address: String, settings: &'static str, source: redis::RedisError },
    #[error("cannot use MongoDB: {}; is it running, and is MONGODB_URI right?", .0.kind)]
    MongoDb(mongodb::error::Error),
    #[error("cannot listen on {address}: {source}; is the port taken?")]
    Bind { address: SocketAddr, source: io::Error },
    #[error("the operating system does not say where the service listens: {0}")]
    Address(io::Error),
    #[error(transparent)]
    Embedded(#[from] OpenError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// Why the service ended without being asked to.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum RunError {
    #[error("a worker crashed: {0}")]
    Worker(#[from] MonitorError),
    #[error("all workers ended by themselves")]
    WorkersEnded,
    #[error("a background task crashed; the log says which")]
    Crashed,
    #[error("the HTTP server failed: {0}")]
    Server(#[from] io::Error),
}

impl App {
    /// Connects to the storage and binds the ports.
    ///
    /// # Errors
    /// A [`StartError`] that says what to do.
    pub async fn build(config: Config) -> Result<Self, StartError> {
        let parts = connect_storage(&config).await?;
        let listeners = Listeners::bind(&config).await?;
        let addresses = listeners.addresses().map_err(StartError::Address)?;
        Ok(Self::compose(config, parts, listeners, addresses))
    }

    fn compose(config: Config, parts: Parts, listeners: Listeners, addresses: Addresses) -> Self {
        let Parts { auth, store, inboxes, queues, letters, log, listener } = parts;
        let process = Process::new(&config.queue);
        let (auth, mode) = (Arc::new(auth), Mode::from(&config.storage));
        let metrics = Arc::new(Metrics::new(QUEUES));
        let (sockets, notifier) =
            Notifier::new(Arc::clone(&auth), Arc::clone(&metrics), &config, (&QUEUES, log), &process);
        let characters = Arc::new(Pipeline::new(
            Characters::new(Arc::clone(&store), config.queue.answer_bytes()),
            Arc::clone(&auth),
            notifier.clone(),
            Arc::clone(&metrics),
            &config.queue,
        ));
        let route = |inbox: Arc<dyn Inbox>| (inbox.name(), Route { intake: characters.clone(), inbox });
        let routes: BTreeMap<_, _> = inboxes.into_iter().map(route).collect();
        let worker = |queue: &Arc<dyn Queue>| (Arc::clone(queue), characters.clone() as Arc<dyn Handler>);
        let workers = queues.iter().map(worker).collect();
        let limits = Limits::new(&config);
        let warnings = config.warnings();
        let (stop, handlers) = (process.stop.clone(), vec![characters as Arc<dyn Handler>]);
        let state = Arc::new(http::State {
            auth,
            routes,
            queues,
            letters,
            store,
            notifier: notifier.clone(),
            handlers,
            stop,
            metrics: Arc::clone(&metrics),
            mode,
            limits,
            quota: config.queue.quota,
            waits: http::Waits::default(),
            warnings,
        });
        let served = |place, address: SocketAddr| {
            http::router(&state, &sockets, &config, Address { place, port: address.port() })
        };
        let mut servers = vec![(listeners.main, served(Place::Main, addresses.main))];
        if let Some(messages) = listeners.messages {
            servers.push((messages, http::sockets_only(&state, &sockets, &config)));
        }
        for ((place, listener), address) in listeners.others.into_iter().zip(&addresses.others) {
            servers.push((listener, served(Place::At(place), *address)));
        }
        Self { config, mode, servers, addresses, notifier, workers, listener, process, metrics }
    }

    /// The addresses on which the service listens.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Serves until `shutdown`, then lets running jobs finish and gives back those that do not finish in time.
    ///
    /// # Errors
    /// A [`RunError`] when it ended for another reason.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RunError> {
        let Addresses { main, messages, others } = self.addresses;
        for other in others {
            tracing::info!(url = url(other), "listening too, for what the settings put there");
        }
        tracing::info!(
            url = url(main),
            messages_url = messages.map(url),
            mode = self.mode.as_str(),
            "listening"
        );
        for warning in self.config.warnings() {
            tracing::warn!("{warning}");
        }

        let process = self.process;
        if let Some((listener, news)) = self.listener {
            let following = process.end.clone().run_until_cancelled_owned(self.notifier.clone().follow(news));
            process.tasks.spawn("follow the outcome logs", following.map(drop));
            let listening = process.end.clone().run_until_cancelled_owned(listener.run());
            process.tasks.spawn("listen for new jobs", listening.map(drop));
        }
        let mut consumers = Vec::new();
        let mut monitor = Monitor::new();
        for (queue, handler) in self.workers {
            let consumer = Consumer::start(queue, handler, &self.config.queue, &process);
            monitor = Arc::clone(&consumer).register(monitor);
            consumers.push(consumer);
        }
        let mut working = tokio::spawn(async move { Box::pin(monitor.run()).await });
        let most = files::connections(&self.config, files::raise_limit());
        let per_address = self.config.server.max_connections_per_address;
        let connections = Connections::new(most, per_address, self.metrics);
        let mut servers = Servers::start(self.servers, &self.config.server, connections);

        let ended = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            () = process.tasks.crashed() => Err(RunError::Crashed),
            worked = &mut working => Err(worked.map_or(RunError::WorkersEnded, |worked| {
                worked.map_or_else(RunError::Worker, |()| RunError::WorkersEnded)
            })),
            error = servers.ended() => Err(RunError::Server(error)),
        };
        tracing::info!("stopping: no more jobs are claimed, running ones finish");
        process.stop.cancel();
        drain(working, &consumers, self.config.server.shutdown).await;
        drop(consumers);
        // Before the sockets are closed: their clients reconnect at once, and what is left here would refuse them for good.
        servers.stop_listening().await;
        self.notifier.close(CLOSING, || servers.cut()).await;
        process.end.cancel();
        if tokio::time::timeout(CLOSING, process.tasks.ended()).await.is_err() {
            tracing::debug!("tasks were still running when the service ended");
        }
        servers.cut();
        tracing::info!("stopped");
        ended
    }
}

/// How long giving jobs back may take.
const RELEASING: Duration = Duration::from_secs(5);

/// How long sockets may take to close, and then tasks to end, at the very end.
const CLOSING: Duration = Duration::from_secs(2);

/// Waits for running jobs, and gives back those that do not finish in time.
async fn drain(
    working: tokio::task::JoinHandle<Result<(), MonitorError>>,
    consumers: &[Arc<Consumer>],
    patience: Duration,
) {
    if working.is_finished() || tokio::time::timeout(patience, working).await.is_ok() {
        return;
    }
    let releasing = join_all(consumers.iter().map(|consumer| consumer.release()));
    let Ok(all) = tokio::time::timeout(RELEASING, releasing).await else {
        tracing::error!("the queue does not answer: jobs could not be given back; their leases will expire");
        return;
    };
    for released in all {
        match released {
            Ok(0) => {}
            Ok(released) => {
                tracing::warn!(released, "jobs did not finish in time and went back to their queue");
            }
            Err(error) => {
                tracing::error!(%error, "jobs could not be given back; their leases will expire");
            }
        }
    }
}

/// The URL of an address, for a browser on this machine.
#[must_use]
pub fn url(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("http://localhost:{}", address.port())
    } else {
        format!("http://{address}")
    }
}
