//! What a business domain is to the pipeline.

use serde::{Deserialize, Serialize};

use crate::{
    auth::Caller,
    outcome::{Failure, Reply},
    queue::Origin,
};

/// One business domain: its commands, and how they are carried out. It knows nothing of queues, sockets or HTTP.
pub trait Domain: Send + Sync + 'static {
    /// What a job can ask for.
    type Command: Send;

    /// Parses the data of a job of `queue`.
    ///
    /// # Errors
    /// All wrong fields.
    fn parse(&self, queue: &str, data: &[u8]) -> Result<Request<Self::Command>, Invalid>;

    /// Writes a command as the data of a job of `user`, so that [`Domain::parse`] can read it back.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    fn encode(&self, command: &Self::Command, user: &str, token: &str) -> Result<Vec<u8>, serde_json::Error>;

    /// Whether jobs of `queue` should be done in the order in which they were requested, as far as possible; if not, a share
    /// of them is done before its turn, so that one user's many jobs do not hold up everybody else's one.
    fn in_order(&self, queue: &str) -> bool;

    /// Runs a command. Its effect must be the same when it is run twice for the same job.
    ///
    /// # Errors
    /// A [`Failure`], which says what the queue does next.
    fn run(
        &self,
        caller: &Caller,
        origin: &Origin<'_>,
        command: Self::Command,
    ) -> impl Future<Output = Result<Reply, Failure>> + Send;

    /// Checks that what the domain depends on answers, and can be written to.
    ///
    /// # Errors
    /// Why not, for the log.
    fn probe(&self) -> impl Future<Output = Result<(), String>> + Send;
}

/// The data of a job, parsed. Nothing is proven yet.
#[derive(Debug)]
pub struct Request<C> {
    /// Whose job it says it is.
    pub id: Option<String>,
    /// The token that should prove it.
    pub token: Option<String>,
    /// What it asks for.
    pub command: C,
}

/// The data of a job that cannot be parsed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", fields.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct Invalid {
    /// Whose job it says it is, when that can be read.
    pub id: Option<String>,
    /// The token that should prove it, when that can be read.
    pub token: Option<String>,
    /// Every wrong field.
    pub fields: Vec<FieldError>,
}

impl Invalid {
    /// The data as a whole is wrong.
    #[must_use]
    pub fn data(message: impl Into<String>) -> Self {
        Self { id: None, token: None, fields: vec![FieldError::new("data", message)] }
    }
}

/// One wrong field, and what is wrong with it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{field} {message}")]
pub struct FieldError {
    /// The field's name.
    pub field: String,
    /// What is wrong, as the rest of a sentence that begins with the name.
    pub message: String,
}

impl FieldError {
    /// `field` and what is wrong with it.
    #[must_use]
    pub fn new(field: impl AsRef<str>, message: impl Into<String>) -> Self {
        Self { field: brief(field.as_ref()), message: message.into() }
    }
}

/// The beginning of a text from outside, for errors and the log.
#[must_use]
pub fn brief(text: &str) -> String {
    const CHARS: usize = 100;
    match text.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
