//! The HTTP servers, one for each address.

mod accept;

use std::{io, sync::Arc};

use axum::Router;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{config, wire::Connections};
use accept::Acceptor;

/// The running servers.
pub(super) struct Servers {
    close: CancellationToken,
    /// Those that still listen.
    listening: TaskTracker,
    connections: Arc<Connections>,
    running: JoinHandle<()>,
}

impl Servers {
    /// Serves each router on its listener, with the time-outs of `config`, and `connections` for all of them together.
    pub(super) fn start(
        listeners: Vec<(TcpListener, Router)>,
        config: &config::Server,
        connections: Arc<Connections>,
    ) -> Self {
        let close = CancellationToken::new();
        let listening = TaskTracker::new();
        let serving = TaskTracker::new();
        for (listener, router) in listeners {
            let acceptor = Acceptor::new(router, config, &connections, &close, &serving);
            listening.spawn(acceptor.run(listener));
        }
        listening.close();
        let all = (listening.clone(), serving);
        let running = tokio::spawn(async move {
            let (listening, serving) = all;
            listening.wait().await;
            serving.close();
            serving.wait().await;
        });
        Self { close, listening, connections, running }
    }

    /// Waits until they have ended by themselves, which only a crash makes them do.
    pub(super) async fn ended(&mut self) -> io::Error {
        let ended = (&mut self.running).await;
        ended.map_or_else(io::Error::other, |()| io::Error::other("nothing listens any more"))
    }

    /// Accepts no more connections; open ones go on. From then on, it is as if nobody were listening here.
    pub(super) async fn stop_listening(&self) {
        self.close.cancel();
        self.listening.wait().await;
    }

    /// Cuts what is still connected, whatever it waits for.
    pub(super) fn cut(&self) {
        let open = self.connections.cut();
        if open > 0 {
            tracing::debug!(open, "connections were cut");
        }
    }
}
