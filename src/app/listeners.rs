//! The ports that the service binds.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

use super::StartError;
use crate::config::Config;

/// Where the service listens.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// For everything, except what is elsewhere or switched off.
    pub main: SocketAddr,
    /// For Socket.IO alone.
    pub messages: Option<SocketAddr>,
    /// For what the settings give an address of its own.
    pub others: Vec<SocketAddr>,
}

/// The bound ports.
pub(super) struct Listeners {
    /// For everything, except what is elsewhere or switched off.
    pub main: TcpListener,
    /// For Socket.IO alone.
    pub messages: Option<TcpListener>,
    /// Each with its address in the settings, where the port may be 0.
    pub others: Vec<(SocketAddr, TcpListener)>,
}

impl Listeners {
    /// Binds what `config` names.
    pub(super) async fn bind(config: &Config) -> Result<Self, StartError> {
        let at = |port| SocketAddr::new(config.host(), port);
        let main = bind(at(config.server.port)).await?;
        let messages = match config.socket.port {
            Some(port) => Some(bind(at(port)).await?),
            None => None,
        };
        let mut others = Vec::new();
        for address in config.server.other_addresses() {
            others.push((address, bind(address).await?));
        }
        Ok(Self { main, messages, others })
    }

    /// Where they are, as the operating system says.
    pub(super) fn addresses(&self) -> io::Result<Addresses> {
        let others = self.others.iter().map(|(_, listener)| listener.local_addr());
        Ok(Addresses {
            main: self.main.local_addr()?,
            messages: self.messages.as_ref().map(TcpListener::local_addr).transpose()?,
            others: others.collect::<io::Result<_>>()?,
        })
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Bind { address, source })
}
