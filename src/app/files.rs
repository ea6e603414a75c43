//! How many files the process may have open, and so how many connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::{Config, Storage};

/// Files for everything but connections of clients and of the pool to MongoDB: Redis, the embedded file, listeners, the log.
const OWN: usize = 64;

/// The most connections unless it is said: each takes memory, 30 kB when it is a signed-in socket.
const MOST: usize = 16_384;

/// Raises the limit of open files as far as the process may, and returns it.
pub(super) fn raise_limit() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, "cannot raise the limit of open files");
            current
        }
    };
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

/// How many connections clients may have, when `files` may be open: what Redis, MongoDB and the embedded file need is kept
/// back, so that no number of clients cuts the service off from them.
pub(super) fn connections(config: &Config, files: usize) -> usize {
    let pool = match config.storage {
        Storage::Embedded { .. } => 0,
        Storage::Servers { .. } => config.queue.connections() as usize + 1,
    };
    let free = files.saturating_sub(OWN + pool).max(1);
    match config.server.max_connections {
        Some(most) if most.get() > free => {
            tracing::warn!(
                files,
                "server.max_connections is {most}, but only {free} connections fit into the limit of open files: raise it (ulimit -n)"
            );
            free
        }
        Some(most) => most.get(),
        None => free.min(MOST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    #[test]
    fn what_redis_and_mongodb_need_is_kept_back() {
        let load = |env: &[(&str, &str)]| {
            let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Environment>();
            Config::load(None, &env).unwrap()
        };
        let embedded = load(&[]);
        assert_eq!(connections(&embedded, 256), 192);
        assert_eq!(connections(&embedded, usize::MAX), MOST);
        assert_eq!(connections(&embedded, 10), 1);
        let said = load(&[("OCTAVO__SERVER__MAX_CONNECTIONS", "300")]);
        assert_eq!((connections(&said, 1024), connections(&said, 256)), (300, 192));
    }
}
