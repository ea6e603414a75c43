//! A bare loop over Bull's layout: what Redis and MongoDB allow a worker for creates.

use std::sync::LazyLock;

use futures_util::future::try_join_all;
use mongodb::{
    Collection,
    bson::{DateTime, Document, doc, oid::ObjectId},
};
use redis::{Script, aio::MultiplexedConnection};
use serde_json::Value;

use super::{CliError, stage::PREFIX};

static CLAIM: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("bare_claim.lua")));
static FINISH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("bare_finish.lua")));

/// Jobs in a batch, and batches in flight: with more of either, `LREM` walks a longer list.
const BATCH: usize = 100;
pub(super) const IN_FLIGHT: usize = 2;

/// Longer than any batch takes, or the whole bench.
const LOCK_MS: u64 = 600_000;

/// Works off `queue` in loops of claim, insert, finish.
pub(super) async fn work_off(
    redis: &MultiplexedConnection,
    characters: &Collection<Document>,
    queue: &str,
) -> Result<(), CliError> {
    let prefix = format!("{PREFIX}:{queue}:");
    try_join_all((0..IN_FLIGHT).map(|token| work(redis.clone(), characters, &prefix, token))).await.map(drop)
}

async fn work(
    mut redis: MultiplexedConnection,
    characters: &Collection<Document>,
    prefix: &str,
    token: usize,
) -> Result<(), CliError> {
    let key = |name: &str| format!("{prefix}{name}");
    loop {
        let mut claim = CLAIM.prepare_invoke();
        claim.key(key("wait")).key(key("active")).arg(prefix).arg(BATCH).arg(token).arg(LOCK_MS);
        let claimed: Vec<(String, String)> = claim.invoke_async(&mut redis).await?;
        if claimed.is_empty() {
            return Ok(());
        }
        let documents = claimed.iter().map(|(_, data)| document(data)).collect::<Result<Vec<_>, _>>()?;
        characters.insert_many(documents).ordered(false).await?;
        let mut finish = FINISH.prepare_invoke();
        finish.key(key("active")).key(key("outcomes")).arg(prefix).arg(token);
        finish.arg(r#"{"Message":"Character created correctly","Status":true}"#);
        for (id, _) in &claimed {
            finish.arg(id);
        }
        let done: usize = finish.invoke_async(&mut redis).await?;
        if done != claimed.len() {
            return Err("the bare loop lost a lock".into());
        }
    }
}

fn document(data: &str) -> Result<Document, serde_json::Error> {
    let mut data: Value = serde_json::from_str(data)?;
    let mut text = |name: &str| match data[name].take() {
        Value::String(text) => text,
        _ => String::new(),
    };
    let now = DateTime::now();
    Ok(doc! {
        "_id": ObjectId::new(), "Name": text("Name"), "Description": text("Description"), "Image": text("Image"),
        "Image_Real": text("Image_Real"), "User_Id": text("Id"), "createdAt": now, "updatedAt": now,
    })
}
