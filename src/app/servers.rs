//! The HTTP servers, one for each address.

use std::{io, net::SocketAddr};

use axum::{Router, serve::ListenerExt};
use futures_util::future::try_join_all;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The running servers.
pub(super) struct Servers {
    close: CancellationToken,
    /// Those that still listen.
    listening: TaskTracker,
    running: JoinHandle<io::Result<()>>,
}

impl Servers {
    /// Serves each router on its listener.
    pub(super) fn start(servers: Vec<(TcpListener, Router)>) -> Self {
        let (close, listening) = (CancellationToken::new(), TaskTracker::new());
        let serving =
            servers.into_iter().map(|(listener, router)| serve(listener, router, &close, &listening));
        let serving = try_join_all(serving.collect::<Vec<_>>());
        listening.close();
        let running = tokio::spawn(async move { serving.await.map(drop) });
        Self { close, listening, running }
    }

    /// Waits until they have ended by themselves.
    pub(super) async fn ended(&mut self) -> io::Result<()> {
        (&mut self.running).await.unwrap_or(Ok(()))
    }

    /// Accepts no more connections; open ones go on. From then on, it is as if nobody were listening here.
    pub(super) async fn stop_listening(&self) {
        self.close.cancel();
        self.listening.wait().await;
    }

    /// Waits until the last connection is closed.
    pub(super) async fn closed(&mut self) {
        if !self.running.is_finished() {
            self.ended().await.ok();
        }
    }
}

fn serve(
    listener: TcpListener,
    router: Router,
    close: &CancellationToken,
    listening: &TaskTracker,
) -> impl Future<Output = io::Result<()>> + Send + 'static {
    // Dropped with the listener.
    let listens = listening.token();
    let listener = listener.tap_io(move |stream| {
        let _listens = &listens;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot switch off Nagle's algorithm");
        }
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(close.clone().cancelled_owned());
    async { server.await }
}
