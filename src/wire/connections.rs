//! How many connections there are, in all and from each address, and which.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use super::Wire;
use crate::metrics::Metrics;

/// The log says at most this often that connections are refused.
const LOG_EVERY: Duration = Duration::from_mins(1);

/// The open connections of all listeners.
pub(crate) struct Connections {
    most: usize,
    /// 0 for no limit.
    most_per_address: usize,
    state: Mutex<State>,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct State {
    open: usize,
    by_address: HashMap<IpAddr, usize>,
    wires: Vec<Weak<Wire>>,
    /// How many `wires` there may be before those that are gone are dropped.
    sweep_at: usize,
    told: Option<Instant>,
}

/// A connection's place among the others; dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Seat {
    connections: Arc<Connections>,
    address: IpAddr,
}

impl Connections {
    /// Room for `most` connections, and `most_per_address` from each address; 0 for no limit there.
    pub(crate) fn new(most: usize, most_per_address: usize, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { most, most_per_address, state: Mutex::default(), metrics })
    }

    /// A place for a connection from `address`, unless there are too many: then it is closed without an answer, which would
    /// cost what is short.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let address = address.to_canonical();
        let mut state = self.lock();
        let from_there = state.by_address.get(&address).copied().unwrap_or_default();
        let (reason, setting) = if state.open >= self.most {
            ("total", "server.max_connections, or the limit of open files")
        } else if self.most_per_address > 0 && from_there >= self.most_per_address {
            ("address", "server.max_connections_per_address (a proxy needs as many as it has clients)")
        } else {
            state.open += 1;
            *state.by_address.entry(address).or_default() += 1;
            self.metrics.connections.opened(1);
            return Some(Seat { connections: Arc::clone(self), address });
        };
        self.metrics.connections.refused(reason);
        if state.told.is_none_or(|told| told.elapsed() >= LOG_EVERY) {
            state.told = Some(Instant::now());
            tracing::warn!(
                %address, open = state.open, from_there, "connections are refused: there are too many; see {setting}"
            );
        }
        None
    }

    /// Remembers a connection, to be cut at the end.
    pub(crate) fn watch(&self, wire: &Arc<Wire>) {
        let mut state = self.lock();
        if state.wires.len() >= state.sweep_at {
            state.wires.retain(|wire| wire.strong_count() > 0);
            state.sweep_at = 2 * state.wires.len() + 64;
        }
        state.wires.push(Arc::downgrade(wire));
    }

    /// Cuts all connections; returns how many there were.
    pub(crate) fn cut(&self) -> usize {
        let wires = std::mem::take(&mut self.lock().wires);
        wires.iter().filter_map(Weak::upgrade).inspect(|wire| wire.close()).count()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.connections.lock();
        state.open -= 1;
        if let Some(count) = state.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                state.by_address.remove(&self.address);
            }
        }
        self.connections.metrics.connections.opened(-1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_place_for_so_many_from_each_address_and_in_all() {
        let connections = Connections::new(3, 2, Arc::new(Metrics::new(["queue"])));
        let enter = |address: &str| connections.enter(address.parse().unwrap());
        let first = enter("10.0.0.1").unwrap();
        let _second = enter("::ffff:10.0.0.1").unwrap();
        assert!(enter("10.0.0.1").is_none());
        let _third = enter("10.0.0.2").unwrap();
        assert!(enter("10.0.0.3").is_none(), "there are three");
        drop(first);
        assert!(enter("10.0.0.1").is_some());
    }
}
