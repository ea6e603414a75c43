//! How long a user waits, from the moment a job is due to be enqueued until its outcome is heard.

use std::sync::Arc;

use futures_util::future::try_join_all;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::{
    CliError, Run,
    candidate::Candidate,
    job::{Jobs, Kind, users},
    pace::Pace,
    row::{Figure, Row},
    session::Session,
    stage::flush_disk,
};

/// Jobs per second of one user: far enough apart that their outcomes do not overtake each other.
const EACH: f64 = 10.0;

/// The most users; beyond that, each has more jobs.
pub(super) const MOST_USERS: usize = 500;

/// How many jobs per second one producer adds.
const PRODUCER: f64 = 2_000.0;

/// Warm-up jobs that are not counted.
const FIRST: usize = 500;

/// Creates small documents at `rate` jobs per second, for `seconds`.
pub(super) async fn latency(
    run: &Run<'_>,
    candidate: &Candidate,
    case: &str,
    rate: f64,
    seconds: u32,
) -> Result<Row, CliError> {
    const OF: &str = "latency";
    run.progress.step(format!("{OF} {case}, {}: {rate:.0} jobs/s for {seconds} s", candidate.name()));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
    let (user_count, count, producers) = (
        ((rate / EACH).ceil() as usize).clamp(2, MOST_USERS),
        (rate * f64::from(seconds)).ceil() as usize,
        (rate / PRODUCER).ceil().min(4.0) as usize,
    );
    let pace = Pace::new(rate, user_count);
    let jobs = Jobs::new(Kind::Create, users(&run.auth, user_count)?, 0, 200);
    let mut session = Session::open(run, candidate, jobs, false, |user| pace.ear(user)).await?;
    session.warm_up(run, 0..FIRST).await?;
    flush_disk().await?;

    session.audience.expect(count as u64);
    let before = session.cpu(run).await?;
    pace.begin();
    let (stop, keys) = (CancellationToken::new(), session.backlog.bull_keys()?);
    let _stop_with_us = stop.clone().drop_guard();
    let jobs = Arc::new(Jobs::new(Kind::Create, session.jobs.users.clone(), 0, 200));
    let producing = try_join_all((0..producers).map(|first| {
        let (pace, jobs, redis, keys) =
            (Arc::clone(&pace), Arc::clone(&jobs), run.stage.redis_info.clone(), keys.clone());
        let stop = stop.clone();
        let produce = move || pace.produce(&jobs, redis, &keys, (first, producers, count), &stop);
        async { spawn_blocking(produce).await? }
    }));
    tokio::try_join!(producing, session.all(run))?;
    session.backlog.quiet().await?;
    let after = session.cpu(run).await?;
    session.check_effects(FIRST + count).await?;
    session.close().await?;

    let waited = pace.waited_ms();
    let at = |share: usize| waited.get((waited.len() * share / 100).min(waited.len().saturating_sub(1)));
    let mut row = Row::new(OF, case.to_owned(), candidate.name());
    row.add(Figure::Rate, rate);
    for (figure, share) in [(Figure::P50Ms, 50), (Figure::P99Ms, 99), (Figure::MaxMs, 100)] {
        row.extend(at(share).map(|ms| (figure, *ms)));
    }
    row.extend(after.since(&before, count as u64));
    Ok(row)
}
