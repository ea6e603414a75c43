//! Accepts connections, and serves each of them with time-outs of its own.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use crate::{
    config,
    wire::{Connections, Guard, Seat},
};

/// The largest header of a request, in bytes.
const MAX_HEADER: usize = 32 << 10;

/// What is read of a body at a time, at the most.
const BUFFER: usize = 64 << 10;

/// The pauses after an error that the next `accept` would meet too: no file is free, for example.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts the connections of one listener.
pub(super) struct Acceptor {
    router: Router,
    http: http1::Builder,
    write_timeout: Duration,
    connections: Arc<Connections>,
    close: CancellationToken,
    serving: TaskTracker,
}

impl Acceptor {
    /// Serves `router` until `close`; what it serves is tracked by `serving`.
    pub(super) fn new(
        router: Router,
        config: &config::Server,
        connections: &Arc<Connections>,
        close: &CancellationToken,
        serving: &TaskTracker,
    ) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(config.header_timeout);
        http.max_header_size(MAX_HEADER).max_buf_size(BUFFER);
        Self {
            router,
            http,
            write_timeout: config.write_timeout,
            connections: Arc::clone(connections),
            close: close.clone(),
            serving: serving.clone(),
        }
    }

    /// Accepts until `close`. No error ends it: what goes wrong with one connection says nothing of the next.
    pub(super) async fn run(self, listener: TcpListener) {
        let mut failing = false;
        loop {
            let Some(accepted) = self.close.run_until_cancelled(listener.accept()).await else { return };
            match accepted {
                Ok((stream, peer)) => {
                    failing = false;
                    if let Some(seat) = self.connections.enter(peer.ip()) {
                        self.serve(stream, peer, seat);
                    }
                }
                Err(error) if is_of_one(&error) => {
                    tracing::debug!(%error, "a client left before it was served");
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::error!(%error, "cannot accept connections, trying again");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn serve(&self, stream: TcpStream, peer: SocketAddr, seat: Seat) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot switch off Nagle's algorithm");
        }
        let guard = Guard::new(stream, seat, self.write_timeout);
        let wire = Arc::clone(guard.wire());
        self.connections.watch(&wire);
        let router = self.router.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(Arc::clone(&wire));
            router.clone().oneshot(request)
        });
        let connection = self.http.serve_connection(TokioIo::new(guard), service).with_upgrades();
        let close = self.close.clone();
        self.serving.spawn(async move {
            let mut connection = std::pin::pin!(connection);
            let served = tokio::select! {
                served = &mut connection => served,
                () = close.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = served {
                tracing::trace!(%error, "a connection ended");
            }
        });
    }
}

/// Whether the error of an `accept` concerns that connection alone.
fn is_of_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
