//! Tokens that were already verified, so that each is verified only once while it is valid.

use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use super::Caller;

/// The most tokens that are remembered; those that are seen least often are forgotten first.
pub(super) const MOST: usize = 10_000;

/// Callers by the hash of their token: no token is kept, and nobody can find a second one with the same hash.
pub(super) struct Verified(Cache<[u8; 32], Proof>);

#[derive(Clone)]
struct Proof {
    caller: Caller,
    /// When it expires, in seconds since 1970.
    exp: f64,
}

impl Verified {
    pub(super) fn new() -> Self {
        Self(Cache::new(MOST))
    }

    /// The caller of `token`, if it was verified before and is still valid at `now`, in seconds since 1970; else the one
    /// from `verify`, with its `exp`. A failure is not remembered.
    pub(super) fn caller<E>(
        &self,
        token: &str,
        now: f64,
        verify: impl FnOnce() -> Result<(Caller, f64), E>,
    ) -> Result<Caller, E> {
        let hash = Sha256::digest(token).into();
        match self.0.get(&hash) {
            Some(Proof { caller, exp }) if now < exp => return Ok(caller),
            Some(_) => drop(self.0.remove(&hash)),
            None => {}
        }
        let (caller, exp) = verify()?;
        self.0.insert(hash, Proof { caller: caller.clone(), exp });
        Ok(caller)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
