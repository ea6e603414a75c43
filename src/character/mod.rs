//! The Character Creator: users make, read, change and delete their characters.

pub mod command;
pub mod filter;
pub(crate) mod fuzzing;
pub mod model;
pub mod service;
pub mod store;
mod text;

use std::sync::Arc;

use crate::{
    auth::Caller,
    budget::Budget,
    outcome::{Failure, Reply},
    pipeline::{Domain, Invalid, Request},
    queue::Origin,
};

pub use command::Command;
pub use store::Store;

/// The queues of this domain, one for each operation.
pub const QUEUES: [&str; 4] = ["Create_Character", "Read_Character", "Update_Character", "Delete_Character"];

/// The domain: its store, and the [`Domain`] implementation on it.
pub struct Characters {
    store: Arc<dyn Store>,
    answers: Budget,
}

impl Characters {
    /// The domain on `store`, whose large answers take `bytes` at a time.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, bytes: usize) -> Self {
        Self { store, answers: Budget::new(bytes) }
    }
}

impl Domain for Characters {
    type Command = Command;

    fn parse(&self, queue: &str, data: &[u8]) -> Result<Request<Command>, Invalid> {
        command::parse(queue, data)
    }

    fn encode(&self, command: &Command, user: &str, token: &str) -> Result<Vec<u8>, serde_json::Error> {
        command::encode(command, user, token)
    }

    fn in_order(&self, queue: &str) -> bool {
        // Of two updates of one character, the later one must win.
        queue == "Update_Character"
    }

    async fn run(&self, caller: &Caller, origin: &Origin<'_>, command: Command) -> Result<Reply, Failure> {
        service::run((&*self.store, &self.answers), caller, origin, command).await
    }

    async fn probe(&self) -> Result<(), String> {
        self.store.ping().await.map_err(|error| error.to_string())
    }
}
