//! Dead letters as the API returns them, and as its clients read them.

use serde::{Deserialize, Serialize};

use crate::{iso8601::iso8601, queue::letters::Letter};

/// A letter without its data; times are in ISO 8601, where known.
#[derive(Serialize, Deserialize)]
#[expect(missing_docs, reason = "see queue::letters::Letter")]
pub struct Summary {
    pub layout: String,
    pub queue: String,
    pub id: String,
    pub reason: String,
    pub last_error: Option<String>,
    pub attempts: u32,
    pub crashes: u32,
    pub created_at: Option<String>,
    pub claimed_at: Option<String>,
    pub died_at: Option<String>,
    pub bytes: u64,
}

/// Some letters, and where the listing goes on, if there are more.
#[derive(Serialize, Deserialize)]
#[expect(missing_docs, reason = "the sentence above says it")]
pub struct Listing {
    pub letters: Vec<Summary>,
    pub next: Option<String>,
}

impl From<Letter> for Summary {
    fn from(letter: Letter) -> Self {
        let Letter { layout, queue, id, reason, last_error, attempts, crashes, bytes, .. } = letter;
        Self {
            layout: layout.to_owned(),
            queue: queue.to_owned(),
            id,
            reason,
            last_error,
            attempts,
            crashes,
            created_at: letter.created_ms.and_then(iso8601),
            claimed_at: letter.claimed_ms.and_then(iso8601),
            died_at: iso8601(letter.died_ms),
            bytes,
        }
    }
}
