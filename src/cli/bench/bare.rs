//! What the servers allow: the same work with nothing around it (no token, no socket), as a yardstick for the services.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use mongodb::{
    Collection, IndexModel,
    bson::{Document, RawDocumentBuf, doc, oid::ObjectId},
};

use super::{
    CliError, Run,
    backlog::Backlog,
    bare_loop::{IN_FLIGHT, work_off},
    drain::Case,
    job::{EACH_READS, Jobs, Kind, users},
    row::{Figure, Row, float},
    session::insert,
    stage::{DATABASE, PREFIX, within},
    usage::Cpu,
};
use crate::character::store::COLLECTION;

/// How many finds run at a time.
const FINDS: usize = 64;

/// The most documents in one `insert_many`, and the most bytes.
const INSERT: usize = 100;
const INSERT_BYTES: usize = 16 << 20;

/// The time limit for the bare work.
const LIMIT: Duration = Duration::from_mins(10);

/// Measures the ceiling for `case`: for creates, a bare loop over Bull's layout, and for those with images, the inserts
/// alone; for reads, the same finds. There is none for deletes.
pub(super) async fn bare(run: &Run<'_>, case: &Case) -> Result<Option<Row>, CliError> {
    let by = match case.kind {
        Kind::Create if case.of == "images" => "bare insert_many",
        Kind::Create => "bare loop",
        Kind::Read => "bare finds",
        Kind::Delete => return Ok(None),
    };
    run.progress.step(format!("{} {}, {by}", case.of, case.name));
    run.stage.clear_redis().await?;
    let database = run.stage.database(DATABASE);
    within(database.drop()).await?;
    let characters = database.collection::<Document>(COLLECTION);
    let newest = doc! { "User_Id": 1, "createdAt": -1, "_id": -1 };
    within(characters.create_index(IndexModel::builder().keys(newest).build())).await?;
    let jobs = Jobs::new(case.kind, users(&run.auth, case.users)?, case.jobs, case.image);
    insert(&characters, &jobs).await?;

    let mut backlog = Backlog::bull(run.stage.redis.clone(), PREFIX, case.kind.queue());
    if by == "bare loop" {
        backlog.lay_out(&jobs, 0..case.jobs, run.progress).await?;
        backlog.show().await?;
    }
    let before = Cpu::read(run.stage, &[]).await?;
    let start = Instant::now();
    let working = async {
        match by {
            "bare loop" => work_off(&run.stage.redis, &characters, case.kind.queue()).await,
            "bare finds" => find(&characters, &jobs, case.jobs).await,
            _ => insert_all(&characters, &jobs, case.jobs).await,
        }
    };
    tokio::time::timeout(LIMIT, working).await.map_err(|_| format!("the {by} did not finish"))??;
    let took = start.elapsed();
    let after = Cpu::read(run.stage, &[]).await?;
    let mut row = Row::new(case.of, case.name.clone(), by);
    row.add(Figure::JobsPerS, float(case.jobs as u64) / took.as_secs_f64());
    row.extend(after.since(&before, case.jobs as u64));
    Ok(Some(row))
}

/// The finds of `count` reads.
async fn find(characters: &Collection<Document>, jobs: &Jobs, count: usize) -> Result<(), CliError> {
    let raw = characters.clone_with_type::<RawDocumentBuf>();
    let one = |n: usize| {
        let (raw, user) = (raw.clone(), jobs.user(n).id.clone());
        tokio::spawn(async move {
            let find = raw.find(doc! { "User_Id": user }).sort(doc! { "createdAt": -1, "_id": -1 }).limit(3);
            find.await?.try_fold(0, async |found, _| Ok(found + 1)).await
        })
    };
    let mut finds = stream::iter((0..count).map(one)).buffer_unordered(FINDS);
    while let Some(found) = finds.next().await {
        if found?? != EACH_READS {
            return Err("a find did not return the documents that exist".into());
        }
    }
    Ok(())
}

/// The documents of `count` creates.
async fn insert_all(characters: &Collection<Document>, jobs: &Jobs, count: usize) -> Result<(), CliError> {
    let batch = (INSERT_BYTES / jobs.document(ObjectId::new(), "").to_vec()?.len()).clamp(1, INSERT);
    let one = |first: usize| {
        let last = count.min(first + batch);
        let documents: Vec<_> =
            (first..last).map(|n| jobs.document(ObjectId::new(), &jobs.user(n).id)).collect();
        async { characters.insert_many(documents).ordered(false).await.map(drop) }
    };
    let mut inserts = stream::iter((0..count).step_by(batch).map(one)).buffer_unordered(IN_FLIGHT);
    while let Some(inserted) = inserts.next().await {
        inserted?;
    }
    Ok(())
}
