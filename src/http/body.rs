//! Request bodies: read up to a limit and within a time, and further before an error is answered.
//!
//! A client that is still writing when the connection closes sees a reset, and never the answer that says why.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use futures_util::StreamExt;

use super::problem::Problem;

/// The most that is read and thrown away of a body that is too large, as a multiple of the limit.
const DISCARD: usize = 4;

/// How long a client may take to send its body.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// How long a client may take to send a body that nobody reads.
const SHORT_PATIENCE: Duration = Duration::from_secs(15);

/// The size that the request says its body has.
pub(super) fn size(body: &Body) -> Option<usize> {
    body.size_hint().exact().map(|size| usize::try_from(size).unwrap_or(usize::MAX))
}

/// Reads `body`, which may have up to `limit` bytes.
///
/// # Errors
/// 413 when it has more, 400 when it is cut off, 408 when it takes too long.
pub(super) async fn read(body: Body, limit: usize) -> Result<Vec<u8>, Problem> {
    let mut kept = Vec::new();
    let is_kept = size(&body).is_none_or(|size| size <= limit);
    let keep = |chunk: &[u8]| {
        if is_kept {
            kept.extend_from_slice(chunk);
        }
    };
    let bounds = Bounds { kept: limit, seen: limit.saturating_mul(DISCARD), patience: PATIENCE };
    if drain(body, bounds, keep).await? <= limit {
        return Ok(kept);
    }
    Err(Problem::too_large(format!(
        "the request has more than {limit} bytes, the most that is accepted here; use smaller images"
    )))
}

/// Reads what a refused client writes, up to `limit` bytes, and keeps nothing; a larger body is cut off.
pub(super) async fn discard(body: Body, limit: usize) {
    let bounds = Bounds { kept: 0, seen: limit, patience: SHORT_PATIENCE };
    if let Err(problem) = drain(body, bounds, |_| {}).await {
        tracing::debug!(?problem, "cannot read a body that is discarded anyway");
    }
}

/// How far a body is read.
struct Bounds {
    /// The most bytes that are kept.
    kept: usize,
    /// The most bytes that are read; a body that says it has more is not read at all.
    seen: usize,
    patience: Duration,
}

/// Reads `body` as far as the bounds allow, passes on what is to be kept, and returns the number of bytes that it has, as
/// far as that is known.
async fn drain(body: Body, bounds: Bounds, mut keep: impl FnMut(&[u8])) -> Result<usize, Problem> {
    if let Some(size) = size(&body).filter(|size| *size > bounds.seen) {
        return Ok(size);
    }
    let mut seen = 0;
    let mut chunks = body.into_data_stream();
    let reading = async {
        while let Some(chunk) = chunks.next().await {
            let chunk =
                chunk.map_err(|error| Problem::bad_request(format!("the body was cut off: {error}")))?;
            seen += chunk.len();
            if seen <= bounds.kept {
                keep(&chunk);
            } else if seen > bounds.seen {
                break;
            }
        }
        Ok(seen)
    };
    let late = |_| Err(Problem::timed_out("the body did not arrive in time"));
    tokio::time::timeout(bounds.patience, reading).await.unwrap_or_else(late)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Bytes;
    use futures_util::stream;

    use super::*;

    const LIMIT: usize = 100;

    /// A body without a length, of chunks of this many bytes, each a moment after the other.
    fn trickle(chunk: usize, chunks: usize) -> Body {
        let chunks = stream::iter(0..chunks).then(move |_| async move {
            tokio::time::sleep(Duration::from_millis(2)).await;
            Ok::<_, Infallible>(Bytes::from(vec![b' '; chunk]))
        });
        Body::from_stream(chunks)
    }

    #[tokio::test]
    async fn a_body_that_arrives_byte_by_byte_is_ended() {
        let bounds = Bounds { kept: LIMIT, seen: LIMIT, patience: Duration::from_millis(20) };
        assert!(drain(trickle(1, usize::MAX), bounds, |_| {}).await.is_err());
    }

    #[tokio::test]
    async fn a_body_is_kept_up_to_the_limit_and_read_a_few_times_as_far() {
        assert_eq!(read(trickle(10, 10), LIMIT).await.unwrap().len(), LIMIT);
        assert!(read(trickle(10, 11), LIMIT).await.is_err());
        assert!(
            read(trickle(LIMIT, usize::MAX), LIMIT).await.is_err(),
            "one without an end is not read to its end"
        );
        assert!(read(Body::from(vec![0; LIMIT + 1]), LIMIT).await.is_err());
    }

    #[tokio::test]
    async fn what_is_refused_is_read_up_to_the_limit() {
        discard(trickle(LIMIT / 4, usize::MAX), LIMIT).await;
    }
}
