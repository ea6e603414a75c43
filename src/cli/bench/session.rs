//! A running service, one of its queues, and the users who hear of the jobs there.

use std::{ops::Range, time::Instant};

use mongodb::{
    Collection,
    bson::{Document, doc},
};

use super::{
    CliError, Run,
    audience::Audience,
    backlog::Backlog,
    candidate::Candidate,
    job::{EACH_READS, Jobs, Kind},
    service::Service,
    stage::within,
    usage::Cpu,
};

/// The size of a socket's buffer, in bytes.
const BUFFER: usize = 64 << 10;

/// Everything that one measurement needs.
pub(super) struct Session {
    pub service: Service,
    pub jobs: Jobs,
    pub audience: Audience,
    pub backlog: Backlog,
}

impl Session {
    /// Starts `candidate` for `jobs`, on its Bull queue or, with `apalis`, on our own. `on_hear` returns what is called
    /// for each outcome of the user with that index.
    pub(super) async fn open<H: FnMut() + Send + 'static>(
        run: &Run<'_>,
        candidate: &Candidate,
        jobs: Jobs,
        apalis: bool,
        on_hear: impl Fn(usize) -> H,
    ) -> Result<Self, CliError> {
        let service = Service::start(run.stage, candidate, &run.secret).await?;
        insert(&service.characters(), &jobs).await?;
        let queue = jobs.kind.queue();
        let audience = Audience::gather(&service, &jobs.users, queue, BUFFER, on_hear).await?;
        let redis = run.stage.redis.clone();
        let backlog = if apalis {
            Backlog::apalis(redis, queue)
        } else {
            Backlog::bull(redis, &candidate.bull_prefix(), queue)
        };
        Ok(Self { service, jobs, audience, backlog })
    }

    /// Has the jobs of `range` done, to warm everything up.
    pub(super) async fn warm_up(&mut self, run: &Run<'_>, range: Range<usize>) -> Result<(), CliError> {
        let count = range.len();
        self.backlog.lay_out(&self.jobs, range, run.progress).await?;
        self.audience.expect(count as u64);
        self.backlog.show().await?;
        self.all(run).await?;
        self.backlog.quiet().await
    }

    /// Waits until all expected outcomes were heard; returns when the last one was.
    pub(super) async fn all(&mut self, run: &Run<'_>) -> Result<Instant, CliError> {
        self.audience.all(&mut self.service, run.progress).await
    }

    /// The CPU time used so far.
    pub(super) async fn cpu(&self, run: &Run<'_>) -> Result<Cpu, CliError> {
        Cpu::read(run.stage, &self.service.pids).await
    }

    /// Checks that all `count` jobs reported as done are done, and were reported once.
    pub(super) async fn check_effects(&self, count: usize) -> Result<(), CliError> {
        self.audience.no_more(&self.service)?;
        let expected = match self.jobs.kind {
            Kind::Create => count,
            Kind::Read => self.jobs.users.len() * EACH_READS,
            Kind::Delete => 0,
        };
        let there = within(self.service.characters().count_documents(doc! {})).await?;
        if there == expected as u64 {
            return Ok(());
        }
        let what = format!("said that all is done, but there are {there} characters and not {expected}");
        Err(self.service.error(&what))
    }

    /// Stops the service.
    pub(super) async fn close(self) -> Result<(), CliError> {
        drop(self.audience);
        self.service.stop().await
    }
}

/// Inserts the documents that `jobs` need into a collection.
pub(super) async fn insert(characters: &Collection<Document>, jobs: &Jobs) -> Result<(), CliError> {
    const AT_A_TIME: usize = 1_000;
    let mut documents = jobs.documents();
    loop {
        let some: Vec<_> = documents.by_ref().take(AT_A_TIME).collect();
        if some.is_empty() {
            return Ok(());
        }
        within(characters.insert_many(some).ordered(false)).await?;
    }
}
