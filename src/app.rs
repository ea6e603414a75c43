//! The composition root: connects and binds everything, runs it, and stops it in order.

mod parts;
mod servers;

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, time::Duration};

use apalis_core::monitor::{Monitor, MonitorError};
use axum::Router;
use futures_util::{FutureExt, future::join_all};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;

use parts::{Parts, connect_storage};
use servers::Servers;

use crate::{
    character::{Characters, QUEUES},
    config::Config,
    embedded::OpenError,
    http::{self, Mode, Route},
    metrics::Metrics,
    notifier::Notifier,
    pipeline::Pipeline,
    queue::{
        Inbox, Listener, Queue, QueueError,
        log::News,
        worker::{Consumer, Handler, Process},
    },
    secret::SecretError,
};

/// A service that is connected and bound, but not running yet.
pub struct App {
    config: Config,
    mode: Mode,
    main: TcpListener,
    messages: Option<TcpListener>,
    router: Router,
    sockets: Router,
    notifier: Notifier,
    workers: Vec<(Arc<dyn Queue>, Arc<dyn Handler>)>,
    listener: Option<(Listener, mpsc::UnboundedReceiver<News>)>,
    process: Process,
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
        let main = bind(&config, config.server.port).await?;
        let messages = match config.socket.port {
            Some(port) => Some(bind(&config, port).await?),
            None => None,
        };
        Ok(Self::compose(config, parts, main, messages))
    }

    fn compose(config: Config, parts: Parts, main: TcpListener, messages: Option<TcpListener>) -> Self {
        let Parts { auth, store, inboxes, queues, letters, log, listener } = parts;
        let process = Process::default();
        let (auth, mode) = (Arc::new(auth), Mode::from(&config.storage));
        let metrics = Arc::new(Metrics::new(QUEUES));
        let (sockets, notifier) =
            Notifier::new(Arc::clone(&auth), Arc::clone(&metrics), &config.socket, (&QUEUES, log), &process);
        let characters = Arc::new(Pipeline::new(
            Characters::new(Arc::clone(&store)),
            Arc::clone(&auth),
            notifier.clone(),
            Arc::clone(&metrics),
            &config.queue,
        ));
        let route = |inbox: Arc<dyn Inbox>| (inbox.name(), Route { intake: characters.clone(), inbox });
        let routes: BTreeMap<_, _> = inboxes.into_iter().map(route).collect();
        let worker = |queue: &Arc<dyn Queue>| (Arc::clone(queue), characters.clone() as Arc<dyn Handler>);
        let workers = queues.iter().map(worker).collect();
        let (max_body_bytes, warnings) = (config.server.max_body_bytes, config.warnings());
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
            metrics,
            mode,
            max_body_bytes,
            quota: config.queue.quota,
            waits: http::Waits::default(),
            warnings,
        });
        let sockets = sockets.layer(http::cors(&config.socket.origins));
        let app = http::router(state, sockets.clone(), &config);
        Self { config, mode, main, messages, router: app, sockets, notifier, workers, listener, process }
    }

    /// The address on which the service listens, and that of Socket.IO alone.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn addresses(&self) -> io::Result<(SocketAddr, Option<SocketAddr>)> {
        let messages = self.messages.as_ref().map(TcpListener::local_addr).transpose()?;
        Ok((self.main.local_addr()?, messages))
    }

    /// Serves until `shutdown`, then lets running jobs finish and gives back those that do not finish in time.
    ///
    /// # Errors
    /// A [`RunError`] when it ended for another reason.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RunError> {
        let (url, messages_url) = self.addresses().map(|(main, messages)| (url(main), messages.map(url)))?;
        tracing::info!(url, messages_url, mode = self.mode.as_str(), "listening");
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
        let messages = self.messages.map(|listener| (listener, self.sockets));
        let mut servers = Servers::start(self.main, self.router, messages);

        let ended = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            () = process.tasks.crashed() => Err(RunError::Crashed),
            worked = &mut working => Err(worked.map_or(RunError::WorkersEnded, |worked| {
                worked.map_or_else(RunError::Worker, |()| RunError::WorkersEnded)
            })),
            served = servers.ended() => served.map_err(RunError::Server),
        };
        tracing::info!("stopping: no more jobs are claimed, running ones finish");
        process.stop.cancel();
        drain(working, &consumers, self.config.server.shutdown).await;
        drop(consumers);
        // Before the sockets are closed: their clients reconnect at once, and what is left here would refuse them for good.
        servers.stop_listening().await;
        self.notifier.close().await;
        process.end.cancel();
        let closed = async {
            process.tasks.ended().await;
            servers.closed().await;
        };
        if tokio::time::timeout(CLOSING, closed).await.is_err() {
            tracing::debug!("connections were still open when the service ended");
        }
        tracing::info!("stopped");
        ended
    }
}

/// How long giving jobs back may take.
const RELEASING: Duration = Duration::from_secs(5);

/// How long open connections may take to close, at the very end.
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

async fn bind(config: &Config, port: u16) -> Result<TcpListener, StartError> {
    let address = SocketAddr::new(config.host(), port);
    TcpListener::bind(address).await.map_err(|source| StartError::Bind { address, source })
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
