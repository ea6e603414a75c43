//! How fast a backlog is worked off, until every outcome has reached its user.

use std::time::Instant;

use super::{
    CliError, Run,
    candidate::Candidate,
    job::{Jobs, Kind, users},
    row::{Figure, Row, float},
    session::Session,
    stage::flush_disk,
};

/// One backlog.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// Which measurement it belongs to.
    pub of: &'static str,
    /// Its name there.
    pub name: String,
    pub kind: Kind,
    /// The number of measured jobs.
    pub jobs: usize,
    pub users: usize,
    /// Characters in each of the two images.
    pub image: usize,
}

/// How many jobs are run beforehand, to warm everything up.
pub(super) fn warm_up(jobs: usize) -> usize {
    (jobs / 50).clamp(1, 1000)
}

/// Measures `candidate` on its Bull queue or, with `apalis`, on our own.
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
    let first = warm_up(count);
    let jobs = Jobs::new(kind, users(&run.auth, user_count)?, first + count, image);
    let mut session = Session::open(run, candidate, jobs, apalis, |_| || {}).await?;
    let idle = session.service.memory_kb()?;
    session.warm_up(run, 0..first).await?;

    say(&format!("laying out {count} jobs"));
    session.backlog.lay_out(&session.jobs, first..first + count, run.progress).await?;
    flush_disk().await?;
    say("working");
    session.service.reset_peak();
    session.audience.expect(count as u64);
    let before = session.cpu(run).await?;
    let start = Instant::now();
    session.backlog.show().await?;
    let end = session.all(run).await?;
    session.backlog.quiet().await?;
    let after = session.cpu(run).await?;
    let memory = session.service.memory_kb()?;
    session.check_effects(first + count).await?;
    session.close().await?;

    let mut row = Row::new(of, name, by);
    row.add(Figure::JobsPerS, float(count as u64) / (end - start).as_secs_f64());
    row.extend(after.since(&before, count as u64));
    if let Some(((idle, _), (_, peak))) = idle.zip(memory) {
        row.extend([(Figure::IdleMb, float(idle) / 1024.0), (Figure::PeakMb, float(peak) / 1024.0)]);
    }
    Ok(row)
}
