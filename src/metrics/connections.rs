//! What is counted of connections, and of the bytes that wait for sockets.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::ReasonLabels;

/// The metrics of connections.
pub struct ConnectionMetrics {
    open: Gauge,
    refused: Family<ReasonLabels, Counter>,
    socket_bytes: Gauge<u64, AtomicU64>,
}

impl ConnectionMetrics {
    /// Metrics at zero, in `registry`.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let open = Gauge::default();
        let refused = Family::<ReasonLabels, Counter>::default();
        let socket_bytes = Gauge::default();
        for reason in ["total", "address"] {
            drop(refused.get_or_create(&ReasonLabels { reason }));
        }
        registry.register("connections", "Open connections of clients", Gauge::clone(&open));
        registry.register(
            "connections_refused",
            "Connections that were closed at once: too many in total, or from one address",
            refused.clone(),
        );
        registry.register(
            "socket_bytes",
            "Bytes of outcomes under way to sockets, as they count against socket.total_bytes",
            Gauge::clone(&socket_bytes),
        );
        Self { open, refused, socket_bytes }
    }

    /// Counts a connection in (`1`) or out (`-1`).
    pub fn opened(&self, change: i64) {
        self.open.inc_by(change);
    }

    /// Counts a connection that was refused: `total`, `address`.
    pub fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Notes how many bytes are under way to sockets.
    pub fn socket_bytes(&self, bytes: usize) {
        self.socket_bytes.set(bytes as u64);
    }
}
