//! What MongoDB's errors mean: whether the same request may succeed later.

use mongodb::error::{
    Error, ErrorKind, IndexedWriteError, InsertManyError, RETRYABLE_WRITE_ERROR, WriteFailure,
};

use crate::character::store::StoreError;

/// MongoDB's code for a second document with the same `_id`.
pub(super) const DUPLICATE_KEY: i32 = 11000;

/// Codes of a server that is starting, stopping, or electing a primary, of operations that took too long, and of a full
/// disk. Source: the retryable errors of MongoDB's specification "Retryable Reads", `MaxTimeMSExpired` (50), and
/// `OutOfDiskSpace` (14031).
const TRANSIENT_CODES: [i32; 16] =
    [6, 7, 50, 64, 89, 91, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436, 14031];

pub(super) fn is_duplicate(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Write(WriteFailure::WriteError(write)) if write.code == DUPLICATE_KEY)
}

/// Whether no server was found at all.
pub(super) fn is_unreachable(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::ServerSelection { .. } | ErrorKind::DnsResolve { .. })
}

/// Whether the same request may succeed later.
pub(super) fn is_transient(error: &Error) -> bool {
    error.contains_label(RETRYABLE_WRITE_ERROR)
        || match &*error.kind {
            ErrorKind::Io(_)
            | ErrorKind::ServerSelection { .. }
            | ErrorKind::ConnectionPoolCleared { .. }
            | ErrorKind::DnsResolve { .. }
            | ErrorKind::Custom(_) => true,
            ErrorKind::Command(command) => TRANSIENT_CODES.contains(&command.code),
            ErrorKind::InsertMany(InsertManyError { write_concern_error: Some(concern), .. })
            | ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => {
                TRANSIENT_CODES.contains(&concern.code)
            }
            ErrorKind::Write(WriteFailure::WriteError(write)) => TRANSIENT_CODES.contains(&write.code),
            _ => false,
        }
}

/// Codes of a document that would be too large, inserted, or after an update.
const TOO_LARGE_CODES: [i32; 3] = [10334, 17419, 17420];

fn is_too_large(error: &Error) -> bool {
    match &*error.kind {
        // The driver's own check before an insert.
        ErrorKind::InvalidArgument { message, .. } => message.starts_with("insert document must be within"),
        ErrorKind::Command(command) => TOO_LARGE_CODES.contains(&command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => TOO_LARGE_CODES.contains(&write.code),
        _ => false,
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        if is_too_large(&error) {
            return Self::TooLarge;
        }
        let reason = error.kind.to_string();
        if is_transient(&error) { Self::Unavailable(reason) } else { Self::Rejected(reason) }
    }
}

impl From<IndexedWriteError> for StoreError {
    fn from(error: IndexedWriteError) -> Self {
        if TOO_LARGE_CODES.contains(&error.code) {
            return Self::TooLarge;
        }
        let reason = format!("Error code {}: {}", error.code, error.message);
        if TRANSIENT_CODES.contains(&error.code) { Self::Unavailable(reason) } else { Self::Rejected(reason) }
    }
}
