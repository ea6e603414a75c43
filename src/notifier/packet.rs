//! What is sent to sockets: an outcome or a `Profile`, written once for all of them.

use serde_json::value::RawValue;

use super::budgets::SMALL;
use crate::wire::large::Large;

/// A `Profile_Response` that is ready to be sent.
#[derive(Debug)]
pub(super) enum Packet {
    /// It is copied for each socket.
    Small(Box<RawValue>),
    /// Each socket is sent a reference to it.
    Large(Large, usize),
}

impl Packet {
    /// Whether a response is large: then it must have a share of a budget.
    pub(super) fn is_large(response: &RawValue) -> bool {
        response.get().len() >= SMALL
    }

    /// A response that is small, or else has a share.
    pub(super) fn new<S: Send + 'static>(response: Box<RawValue>, share: Option<S>) -> Self {
        match share {
            Some(share) => Self::Large(Large::new(response.get(), share), response.get().len()),
            None => Self::Small(response),
        }
    }

    /// How many bytes it sends to a socket.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Small(response) => response.get().len(),
            Self::Large(_, bytes) => *bytes,
        }
    }
}
