//! How fast a backlog is worked off, until every outcome has reached its user.

use std::time::Instant;

use super::{
    CliError, Run,
    audience::Audience,
    backlog::Backlog,
    job::{EACH_READS, Jobs, Kind, users},
    report::{Figure, Row},
    service::{Candidate, Service},
    usage::Cpu,
};

/// Bytes of a socket's buffer.
const BUFFER: usize = 64 << 10;

/// One backlog.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// Which measurement it belongs to, and what it is called there.
    pub of: &'static str,
    pub name: String,
    pub kind: Kind,
    /// Measured jobs.
    pub jobs: usize,
    pub users: usize,
    /// Characters of each of the two images.
    pub image: usize,
}

/// A few jobs before, that wake everything up.
fn warm_up(jobs: usize) -> usize {
    (jobs / 50).clamp(1, 1000)
}

/// Measures `candidate` on the queue of Bull, or with `apalis` on our own.
pub(super) async fn drain(
    run: &Run<'_>,
    case: &Case,
    candidate: &Candidate,
    apalis: bool,
) -> Result<Row, CliError> {
    let Case { of, name, kind, jobs: count, users: user_count, image } = case.clone();
    let by = if apalis { "octavo, apalis queue" } else { candidate.name() };
    let say = |what: &str| run.progress.step(format!("{of} {name}, {by}: {what}"));
    say("starting");
    let mut service = Service::start(run.stage, candidate, &run.secret).await?;
    let first = warm_up(count);
    let jobs = Jobs::new(kind, users(&run.auth, user_count)?, first + count, image);
    insert(&service.characters(), &jobs).await?;
    let mut audience = Audience::gather(&service, &jobs.users, kind.queue(), BUFFER, |_| || {}).await?;
    let idle = service.memory_kb()?;

    let redis = run.stage.redis.clone();
    let mut backlog = if apalis {
        Backlog::apalis(redis, kind.queue())
    } else {
        Backlog::bull(redis, &candidate.bull_prefix(), kind.queue())
    };
    backlog.lay_out(&jobs, 0..first, run.progress).await?;
    audience.expect(first as u64);
    backlog.show().await?;
    audience.all(&mut service, run.progress).await?;
    backlog.quiet().await?;

    say(&format!("laying out {count} jobs"));
    backlog.lay_out(&jobs, first..first + count, run.progress).await?;
    say("working");
    service.reset_peak();
    audience.expect(count as u64);
    let before = Cpu::read(run.stage, &service.pids).await?;
    let start = Instant::now();
    backlog.show().await?;
    let end = audience.all(&mut service, run.progress).await?;
    backlog.quiet().await?;
    let after = Cpu::read(run.stage, &service.pids).await?;
    let memory = service.memory_kb()?;
    audience.no_more(&service)?;
    check_effects(&service, &jobs, first + count).await?;
    drop(audience);
    service.stop().await?;

    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let jobs_per_s = count as f64 / (end - start).as_secs_f64();
    let mut row = Row::new(of, name, by);
    row.add(Figure::JobsPerS, jobs_per_s);
    after.since(&before, count as u64).into_iter().for_each(|(figure, value)| row.add(figure, value));
    if let Some(((idle, _), (_, peak))) = idle.zip(memory) {
        row.add(Figure::IdleMb, mb(idle));
        row.add(Figure::PeakMb, mb(peak));
    }
    Ok(row)
}

/// Puts the documents that `jobs` need into a collection.
pub(super) async fn insert(
    characters: &mongodb::Collection<mongodb::bson::Document>,
    jobs: &Jobs,
) -> Result<(), CliError> {
    const AT_A_TIME: usize = 1_000;
    let mut documents = jobs.documents();
    loop {
        let some: Vec<_> = documents.by_ref().take(AT_A_TIME).collect();
        if some.is_empty() {
            return Ok(());
        }
        characters.insert_many(some).ordered(false).await?;
    }
}

/// Whether all that was said to be done is done.
async fn check_effects(service: &Service, jobs: &Jobs, count: usize) -> Result<(), CliError> {
    let expected = match jobs.kind {
        Kind::Create => count,
        Kind::Read => jobs.users.len() * EACH_READS,
        Kind::Delete => 0,
    };
    let there = service.characters().count_documents(mongodb::bson::doc! {}).await?;
    if there == expected as u64 {
        return Ok(());
    }
    Err(service.error(&format!("said that all is done, but there are {there} characters and not {expected}")))
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn mb(kb: u64) -> f64 {
    kb as f64 / 1024.0
}
