//! Jobs that wait: laid out aside, as their producers lay them out, and shown to the service all at once.

use std::{
    ops::Range,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use redis::{Pipeline, aio::MultiplexedConnection};
use tokio::time::sleep;
use ulid::Ulid;

use super::{CliError, job::Jobs, progress::Progress, stage::PREFIX};

/// Jobs, and bytes of them, that go to Redis at a time.
const AT_A_TIME: usize = 500;
const BYTES_AT_A_TIME: usize = 8 << 20;

/// How long acknowledgements may take after the last outcome.
const QUIET: Duration = Duration::from_secs(20);

/// What the producers ask of Bull for each job, beside its time.
const OPTIONS: &str = r#""attempts":1,"removeOnComplete":true,"removeOnFail":true,"delay":0"#;

/// A queue that is filled.
pub(super) struct Backlog {
    redis: MultiplexedConnection,
    layout: Layout,
}

/// How the jobs lie in Redis; both hold what the keys of the queue begin with.
#[derive(Debug, Clone)]
enum Layout {
    Bull(String),
    Apalis(String),
}

impl Backlog {
    /// A queue of Bull, whose keys begin with `prefix`.
    pub(super) fn bull(redis: MultiplexedConnection, prefix: &str, queue: &str) -> Self {
        Self { redis, layout: Layout::Bull(format!("{prefix}:{queue}:")) }
    }

    /// Our queue in the layout of apalis-redis.
    pub(super) fn apalis(redis: MultiplexedConnection, queue: &str) -> Self {
        Self { redis, layout: Layout::Apalis(format!("{PREFIX}:{queue}:")) }
    }

    /// Lays out the jobs of `range` where no service looks. Gives their ids, the oldest first.
    pub(super) async fn lay_out(
        &mut self,
        jobs: &Jobs,
        range: Range<usize>,
        progress: &Progress,
    ) -> Result<Vec<String>, CliError> {
        let staging = self.staging();
        let mut ids = Vec::with_capacity(range.len());
        let (mut pipe, mut bytes) = (Pipeline::new(), 0);
        for n in range.clone() {
            let data = jobs.data(n);
            bytes += data.len();
            ids.push(self.add(&mut pipe, &staging, n, data));
            if pipe.len() >= AT_A_TIME || bytes > BYTES_AT_A_TIME || n + 1 == range.end {
                pipe.query_async::<()>(&mut self.redis).await?;
                (pipe, bytes) = (Pipeline::new(), 0);
                progress.count(ids.len() as u64, range.len() as u64);
            }
        }
        Ok(ids)
    }

    /// Adds one job to `list`, as its producer would; gives its id.
    fn add(&self, pipe: &mut Pipeline, list: &str, n: usize, data: String) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        match &self.layout {
            Layout::Bull(prefix) => {
                let (id, now) = (n + 1, now.as_millis());
                let opts = format!("{{{OPTIONS},\"timestamp\":{now}}}");
                pipe.cmd("HMSET")
                    .arg(format!("{prefix}{id}"))
                    .arg("name")
                    .arg("__default__")
                    .arg("data")
                    .arg(data);
                pipe.arg("opts")
                    .arg(opts)
                    .arg("timestamp")
                    .arg(now.to_string())
                    .arg("delay")
                    .arg(0)
                    .arg("priority")
                    .arg(0)
                    .ignore();
                pipe.lpush(list, id).ignore();
                id.to_string()
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

    /// Shows the service what was laid out, in one step.
    pub(super) async fn show(&mut self) -> Result<(), CliError> {
        let [waiting, ..] = self.waiting();
        let mut rename = redis::cmd("RENAMENX");
        let shown: bool = rename.arg(self.staging()).arg(waiting).query_async(&mut self.redis).await?;
        if shown { Ok(()) } else { Err("the queue was not empty when the jobs were to be shown".into()) }
    }

    /// Waits until no job waits or is being worked on: the last acknowledgements may come after the outcomes.
    pub(super) async fn quiet(&mut self) -> Result<(), CliError> {
        let keys = self.waiting();
        let since = Instant::now();
        loop {
            let mut pipe = Pipeline::new();
            keys.iter().for_each(|key| {
                pipe.exists(key);
            });
            let there: Vec<bool> = pipe.query_async(&mut self.redis).await?;
            if !there.contains(&true) {
                return Ok(());
            }
            if since.elapsed() > QUIET {
                return Err(format!(
                    "all outcomes were told, but after {} s there are still jobs in the queue",
                    QUIET.as_secs()
                )
                .into());
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    fn staging(&self) -> String {
        match &self.layout {
            Layout::Bull(prefix) | Layout::Apalis(prefix) => format!("{prefix}bench"),
        }
    }

    /// Where jobs wait, and where those are that are being worked on.
    fn waiting(&self) -> [String; 2] {
        match &self.layout {
            Layout::Bull(prefix) => ["wait", "active"].map(|name| format!("{prefix}{name}")),
            Layout::Apalis(prefix) => ["scheduled", "leases"].map(|name| format!("{prefix}{name}")),
        }
    }
}
