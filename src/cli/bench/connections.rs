//! What an idle socket costs.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    CliError, Run,
    audience::Audience,
    candidate::Candidate,
    job::{Kind, users},
    row::{Figure, Row, float},
    service::Service,
};

/// Sockets opened first and not counted, to leave out one-time costs.
const FIRST: usize = 100;

/// The size of a socket's buffer on our side, in bytes: nothing comes.
const BUFFER: usize = 1 << 10;

/// Time for the memory that the handshakes needed to be released.
const SETTLE: Duration = Duration::from_secs(3);

/// Memory of each of `count` sockets, each in a room of its own. `None` when the process is not known.
pub(super) async fn connections(
    run: &Run<'_>,
    candidate: &Candidate,
    count: usize,
) -> Result<Option<Row>, CliError> {
    const OF: &str = "connections";
    let case = format!("{count} idle sockets");
    run.progress.step(format!("{OF} {case}, {}", candidate.name()));
    let service = Service::start(run.stage, candidate, &run.secret).await?;
    let all = users(&run.auth, FIRST + count)?;
    let (first, rest) = all.split_at(FIRST);
    let queue = Kind::Create.queue();
    let _first = Audience::gather(&service, first, queue, BUFFER, |_| || {}).await?;
    sleep(SETTLE).await;
    let before = service.memory_kb()?;
    let rest = Audience::gather(&service, rest, queue, BUFFER, |_| || {}).await?;
    sleep(SETTLE).await;
    let after = service.memory_kb()?;
    drop(rest);
    service.stop().await?;
    let Some(((before, _), (after, peak))) = before.zip(after) else { return Ok(None) };
    let mut row = Row::new(OF, case, candidate.name());
    let each = float(after.saturating_sub(before)) / float(count as u64);
    row.extend([
        (Figure::SocketKb, each),
        (Figure::IdleMb, float(before) / 1024.0),
        (Figure::PeakMb, float(peak) / 1024.0),
    ]);
    Ok(Some(row))
}
