//! Whether a job costs more when many others are waiting.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    CliError, Run,
    candidate::Candidate,
    drain::warm_up,
    job::{Jobs, Kind, users},
    row::Row,
    session::Session,
};

/// How often the number of finished jobs is checked.
const LOOK: Duration = Duration::from_millis(5);

/// CPU time of each of `count` creates while `waiting` others wait: for each one that is done, one is added.
pub(super) async fn growth(run: &Run<'_>, waiting: usize, count: usize) -> Result<Row, CliError> {
    const OF: &str = "growth";
    let (case, candidate) = (format!("{waiting} waiting"), Candidate::Octavo(1));
    let say = |what: &str| run.progress.step(format!("{OF} {case}: {what}"));
    say("laying out jobs");
    let first = warm_up(count);
    let jobs = Jobs::new(Kind::Create, users(&run.auth, 1)?, 0, 200);
    let mut session = Session::open(run, &candidate, jobs, false, |_| || {}).await?;
    // The jobs to add are laid out beforehand, so that only their ids are new to the queue later.
    let added = session.backlog.lay_out(&session.jobs, 0..first + count, run.progress).await?;
    session.backlog.hide().await?;
    session.backlog.lay_out(&session.jobs, 0..waiting, run.progress).await?;

    say("working");
    let (told, mut topping, mut rest) = (session.audience.counter(), session.backlog.clone(), &added[..]);
    let keep_up = async {
        loop {
            let done = usize::try_from(told()).unwrap_or(usize::MAX).min(added.len());
            let (now, later) = rest.split_at(done - (added.len() - rest.len()));
            topping.add_ids(now).await?;
            rest = later;
            sleep(LOOK).await;
        }
    };
    session.backlog.show().await?;
    let working = async {
        session.audience.expect(first as u64);
        session.all(run).await?;
        let (before, from) = (session.cpu(run).await?, session.audience.told());
        session.audience.expect(count as u64);
        session.all(run).await?;
        let after = session.cpu(run).await?;
        let done = session.audience.told() - from;
        session.close().await?;
        let mut row = Row::new(OF, case.clone(), candidate.name());
        row.extend(after.since(&before, done));
        Ok(row)
    };
    tokio::select! {
        row = working => row,
        stopped = keep_up => stopped,
    }
}
