//! Waiting jobs: prepared out of the service's sight, as their producers lay them out, and revealed all at once.

use std::{
    fmt::Display,
    ops::Range,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use redis::{Pipeline, aio::MultiplexedConnection};
use tokio::time::sleep;
use ulid::Ulid;

use super::{CliError, job::Jobs, progress::Progress, stage::PREFIX};

/// How many jobs, and how many bytes of them, go to Redis at a time.
const AT_A_TIME: usize = 500;
const BYTES_AT_A_TIME: usize = 8 << 20;

/// The key where jobs are prepared.
const STAGING: &str = "bench";

/// How long acknowledgements may take after the last outcome.
const QUIET: Duration = Duration::from_secs(20);

/// The options that the producers give Bull for each job, which is added at `now`, in milliseconds since 1970.
pub(super) fn options(now: u128) -> String {
    format!(r#"{{"attempts":1,"removeOnComplete":true,"removeOnFail":true,"delay":0,"timestamp":{now}}}"#)
}

/// The prefix of a Bull queue's keys.
#[derive(Debug, Clone)]
pub(super) struct BullKeys(String);

impl BullKeys {
    pub(super) fn key(&self, name: impl Display) -> String {
        format!("{}{name}", self.0)
    }
}

/// A queue to be filled.
#[derive(Clone)]
pub(super) struct Backlog {
    redis: MultiplexedConnection,
    layout: Layout,
}

/// How the jobs are laid out in Redis.
#[derive(Debug, Clone)]
enum Layout {
    Bull(BullKeys),
    /// With the prefix of the queue's keys.
    Apalis(String),
}

impl Backlog {
    /// A Bull queue, whose keys begin with `prefix`.
    pub(super) fn bull(redis: MultiplexedConnection, prefix: &str, queue: &str) -> Self {
        Self { redis, layout: Layout::Bull(BullKeys(format!("{prefix}:{queue}:"))) }
    }

    /// Our queue in the layout of apalis-redis.
    pub(super) fn apalis(redis: MultiplexedConnection, queue: &str) -> Self {
        Self { redis, layout: Layout::Apalis(format!("{PREFIX}:{queue}:")) }
    }

    /// The keys of the Bull queue.
    pub(super) fn bull_keys(&self) -> Result<BullKeys, CliError> {
        match &self.layout {
            Layout::Bull(keys) => Ok(keys.clone()),
            Layout::Apalis(_) => Err("this is not a Bull queue".into()),
        }
    }

    /// Lays out the jobs of `range` where no service looks. Returns their ids, oldest first.
    pub(super) async fn lay_out(
        &mut self,
        jobs: &Jobs,
        range: Range<usize>,
        progress: &Progress,
    ) -> Result<Vec<String>, CliError> {
        let staging = self.key(STAGING);
        let mut incr = redis::cmd("INCRBY");
        let last: usize = incr.arg(self.key("id")).arg(range.len()).query_async(&mut self.redis).await?;
        let first = last + 1 - range.len();
        let mut ids = Vec::with_capacity(range.len());
        let (mut pipe, mut bytes) = (Pipeline::new(), 0);
        for n in range.clone() {
            let data = jobs.data(n);
            bytes += data.len();
            ids.push(self.add(&mut pipe, &staging, first + ids.len(), data));
            if pipe.len() >= AT_A_TIME || bytes > BYTES_AT_A_TIME || n + 1 == range.end {
                pipe.query_async::<()>(&mut self.redis).await?;
                (pipe, bytes) = (Pipeline::new(), 0);
                progress.count(ids.len() as u64, range.len() as u64);
            }
        }
        Ok(ids)
    }

    /// Adds one job to `list`, as its producer would; returns its id, which in Bull is `id`.
    fn add(&self, pipe: &mut Pipeline, list: &str, id: usize, data: String) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        match &self.layout {
            Layout::Bull(keys) => {
                let (id, now) = (id.to_string(), now.as_millis());
                let (opts, now) = (options(now), now.to_string());
                let job: [(&str, &str); 6] = [
                    ("name", "__default__"),
                    ("data", &data),
                    ("opts", &opts),
                    ("timestamp", &now),
                    ("delay", "0"),
                    ("priority", "0"),
                ];
                pipe.hset_multiple(keys.key(&id), &job).ignore();
                pipe.lpush(list, &id).ignore();
                id
            }
            Layout::Apalis(prefix) => {
                let id = Ulid::generate().to_string();
                pipe.hset(format!("{prefix}data"), &id, data).ignore();
                let meta = [
                    ("attempts", "0"),
                    ("max_attempts", "25"),
                    ("status", "Pending"),
                    ("idempotency_key", ""),
                ];
                pipe.hset_multiple(format!("{prefix}meta:{id}"), &meta).ignore();
                pipe.zadd(list, &id, now.as_secs()).ignore();
                id
            }
        }
    }

    /// Removes the list of prepared jobs: only the jobs themselves stay, and can be added by their ids.
    pub(super) async fn hide(&mut self) -> Result<(), CliError> {
        Ok(redis::cmd("DEL").arg(self.key(STAGING)).query_async(&mut self.redis).await?)
    }

    /// Adds Bull jobs that were laid out to the waiting ones.
    pub(super) async fn add_ids(&mut self, ids: &[String]) -> Result<(), CliError> {
        if ids.is_empty() {
            return Ok(());
        }
        let wait = self.bull_keys()?.key("wait");
        Ok(redis::cmd("LPUSH").arg(wait).arg(ids).query_async(&mut self.redis).await?)
    }

    /// Reveals the prepared jobs to the service, in one step.
    pub(super) async fn show(&mut self) -> Result<(), CliError> {
        let [waiting, ..] = self.waiting();
        let mut rename = redis::cmd("RENAMENX");
        let shown: bool = rename.arg(self.key(STAGING)).arg(waiting).query_async(&mut self.redis).await?;
        if shown { Ok(()) } else { Err("the queue was not empty when the jobs were to be added".into()) }
    }

    /// Waits until no job is waiting or active: the last acknowledgements may come after the outcomes.
    pub(super) async fn quiet(&mut self) -> Result<(), CliError> {
        let keys = self.waiting();
        let since = Instant::now();
        loop {
            let mut pipe = Pipeline::new();
            for key in &keys {
                pipe.exists(key);
            }
            let there: Vec<bool> = pipe.query_async(&mut self.redis).await?;
            if !there.contains(&true) {
                return Ok(());
            }
            if since.elapsed() > QUIET {
                return Err(format!(
                    "all outcomes were heard, but after {} s there are still jobs in the queue",
                    QUIET.as_secs()
                )
                .into());
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    fn key(&self, name: &str) -> String {
        match &self.layout {
            Layout::Bull(keys) => keys.key(name),
            Layout::Apalis(prefix) => format!("{prefix}{name}"),
        }
    }

    /// The keys of the waiting and of the active jobs.
    fn waiting(&self) -> [String; 2] {
        let names =
            if matches!(self.layout, Layout::Bull(_)) { ["wait", "active"] } else { ["scheduled", "leases"] };
        names.map(|name| self.key(name))
    }
}
