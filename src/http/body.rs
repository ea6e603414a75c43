//! Request bodies: read up to a limit, and to their end before an error is answered.
//!
//! A client that is still writing when the connection closes sees a reset, and never the answer that says why.

use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt;

use super::problem::Problem;

/// The most that is read and thrown away, as a multiple of the limit.
const DISCARD: usize = 8;

/// How long a client may take to send its body.
const PATIENCE: Duration = Duration::from_mins(1);

/// Reads `body`, which may have up to `limit` bytes.
///
/// # Errors
/// 413 when it has more, 400 when it is cut off or takes too long.
pub(super) async fn read(body: Body, limit: usize) -> Result<Vec<u8>, Problem> {
    let mut kept = Vec::new();
    let seen = drain(body, limit, |chunk| kept.extend_from_slice(chunk)).await?;
    if seen <= limit {
        return Ok(kept);
    }
    Err(Problem::too_large(format!(
        "the job has more than {limit} bytes, the most this service accepts; use smaller images"
    )))
}

/// Reads `body` to its end and keeps nothing.
pub(super) async fn discard(body: Body, limit: usize) {
    if let Err(problem) = drain(body, limit, |_| {}).await {
        tracing::debug!(?problem, "cannot read a body that is discarded anyway");
    }
}

/// Reads `body` to its end, passes on what is within `limit`, and returns the number of bytes seen.
async fn drain(body: Body, limit: usize, mut keep: impl FnMut(&[u8])) -> Result<usize, Problem> {
    let mut seen = 0;
    let mut chunks = body.into_data_stream();
    let reading = async {
        while let Some(chunk) = chunks.next().await {
            let chunk =
                chunk.map_err(|error| Problem::bad_request(format!("the body was cut off: {error}")))?;
            seen += chunk.len();
            if seen <= limit {
                keep(&chunk);
            } else if seen > limit.saturating_mul(DISCARD) {
                break;
            }
        }
        Ok(seen)
    };
    let late = |_| Err(Problem::bad_request("the body did not arrive in time"));
    tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(late)
}
