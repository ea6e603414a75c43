//! The door through which jobs come in over HTTP.

use super::{Domain, Invalid, Pipeline};
use crate::auth::Caller;

/// The door: checks what a producer wants to enqueue through us.
pub trait Intake: Send + Sync {
    /// Checks `data` for `queue` as a job of `caller`, and returns the data to enqueue. `Id` may be left out.
    ///
    /// # Errors
    /// A [`Rejected`] when it is somebody else's, or wrong.
    fn admit(&self, queue: &str, data: &[u8], caller: &Caller, token: &str) -> Result<Vec<u8>, Rejected>;

    /// Whose job `data` says it is.
    fn owner(&self, queue: &str, data: &[u8]) -> Option<String>;
}

/// Why a job was not let in.
#[derive(Debug)]
pub enum Rejected {
    /// Its `Id` is not the caller's.
    AnotherUser,
    /// Its data is wrong.
    Invalid(Invalid),
}

impl<D: Domain> Intake for Pipeline<D> {
    fn admit(&self, queue: &str, data: &[u8], caller: &Caller, token: &str) -> Result<Vec<u8>, Rejected> {
        let request = self.domain.parse(queue, data).map_err(|invalid| match &invalid.id {
            Some(id) if id != caller.user() => Rejected::AnotherUser,
            _ => Rejected::Invalid(invalid),
        })?;
        if request.id.is_some_and(|id| id != caller.user()) {
            return Err(Rejected::AnotherUser);
        }
        let unwritable = |error: serde_json::Error| Rejected::Invalid(Invalid::data(error.to_string()));
        self.domain.encode(&request.command, caller.user(), token).map_err(unwritable)
    }

    fn owner(&self, queue: &str, data: &[u8]) -> Option<String> {
        match self.domain.parse(queue, data) {
            Ok(request) => request.id,
            Err(invalid) => invalid.id,
        }
    }
}
