//! The HTTP server, as configured.

use std::{
    net::{IpAddr, SocketAddr},
    num::NonZero,
    thread::available_parallelism,
    time::Duration,
};

use serde::{Deserialize, Deserializer, de::Error};

use super::values::{optional, seconds};

/// The HTTP server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Address to listen on, if set.
    #[serde(deserialize_with = "optional")]
    pub host: Option<IpAddr>,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// Where `/metrics` is.
    pub metrics: Place,
    /// Where `/health` is.
    pub health: Place,
    /// Where `/admin` is.
    pub admin: Place,
    /// Where the page is, with all that it talks to.
    pub page: Place,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// The most bytes of request bodies that are kept at the same time, and of answers with outcomes as well.
    pub body_bytes: usize,
    /// How long a request may take; zero is no limit. What waits for a body or for an outcome has more time.
    #[serde(rename = "request_timeout_seconds", deserialize_with = "seconds")]
    pub request_timeout: Duration,
    /// The most requests that may wait for an outcome at the same time; 0 is no limit.
    pub max_waits: usize,
    /// Threads that do the work, if set.
    #[serde(deserialize_with = "optional")]
    pub threads: Option<NonZero<usize>>,
    /// The most connections, if set.
    #[serde(deserialize_with = "optional")]
    pub max_connections: Option<NonZero<usize>>,
    /// The most connections from one address; 0 for no limit.
    pub max_connections_per_address: usize,
    /// How long a connection may take to send the whole header of its next request.
    #[serde(rename = "header_timeout_seconds", deserialize_with = "seconds")]
    pub header_timeout: Duration,
    /// How long a client may take nothing while something waits for it.
    #[serde(rename = "write_timeout_seconds", deserialize_with = "seconds")]
    pub write_timeout: Duration,
    /// How long running jobs may continue after SIGTERM.
    #[serde(rename = "shutdown_seconds", deserialize_with = "seconds")]
    pub shutdown: Duration,
}

impl Server {
    /// Threads that do the work: as set, or half of the cores (`docs/decisions/0012`).
    #[must_use]
    pub fn threads(&self) -> NonZero<usize> {
        let half = || NonZero::new(available_parallelism().map_or(1, NonZero::get) / 2);
        self.threads.or_else(half).unwrap_or(NonZero::<usize>::MIN)
    }

    /// The addresses besides the main one, each once.
    #[must_use]
    pub fn other_addresses(&self) -> Vec<SocketAddr> {
        let mut addresses = Vec::new();
        for place in [self.metrics, self.health, self.admin, self.page] {
            if let Place::At(address) = place
                && !addresses.contains(&address)
            {
                addresses.push(address);
            }
        }
        addresses
    }
}

/// Where a part of the HTTP side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// With everything else, at the main address.
    Main,
    /// Nowhere: it is switched off.
    Off,
    /// At another address; those that name the same one share it.
    At(SocketAddr),
}

impl<'de> Deserialize<'de> for Place {
    /// `on`, `off`, or an address with a port.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.trim() {
            // What TOML calls true and false arrives as text too.
            "on" | "true" => Ok(Self::Main),
            "off" | "false" => Ok(Self::Off),
            address => address.parse().map(Self::At).map_err(|_| {
                D::Error::custom(format!("\"{address}\" is not on, off, or an address like 127.0.0.1:9090"))
            }),
        }
    }
}
