//! `octavo bench`: how fast the service is, on real servers, beside another service of the same contract.

mod audience;
mod backlog;
mod bare;
mod drain;
mod job;
mod machine;
mod program;
mod progress;
mod report;
mod servers;
mod service;
mod socket;
mod stage;
mod usage;

use std::{
    fs::File,
    io::{BufWriter, Write, stdout},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use rand::distr::{Alphanumeric, SampleString};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

use self::{
    drain::{Case, drain},
    job::Kind,
    machine::Machine,
    progress::Progress,
    report::Report,
    servers::Servers,
    service::Candidate,
    stage::Stage,
};
use super::CliError;
use crate::auth::Auth;

/// The bench runs beside what it measures, and leaves it the machine.
const THREADS: usize = 2;

#[derive(Args)]
#[command(after_help = "Examples:
  octavo bench --quick                                     a look within a minute
  octavo bench drain --peer-command 'node server.mjs' --rounds 3 --json drain.json

Redis and MongoDB are started in a temporary folder, or given with --redis and --mongodb, which must be empty. A peer is
started by --peer-command with PORT, REDIS_HOST, REDIS_PORT, MONGODB_URI and JWT_SECRET, once for each measurement; or it runs
already, at --peer, on the same servers, with the database octavo_bench_peer and the JWT_SECRET of --secret.
Our own service takes settings from the environment, as OCTAVO__QUEUE__CONCURRENCY.")]
pub(super) struct Bench {
    /// What to measure; without it, all but growth.
    #[arg(value_enum, value_name = "WHAT")]
    what: Vec<What>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Jobs per second of a backlog, until every outcome has reached its user; CPU time and memory.
    Drain,
    /// The same with two images of 200 KB in each job.
    Images,
}

/// What all measurements share.
#[derive(Args)]
struct Options {
    /// Few jobs, for a look: the figures say little.
    #[arg(long)]
    quick: bool,
    /// Jobs of a backlog.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Jobs with images.
    #[arg(long, value_name = "N")]
    image_jobs: Option<usize>,
    /// Users whose jobs they are; by default one for creates and deletes, 500 for reads.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    users: Option<u32>,
    /// Kinds of jobs in the drain.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Kind::Create, Kind::Read, Kind::Delete])]
    kinds: Vec<Kind>,
    /// Measure everything so often, and take the median.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// An empty Redis that nobody uses, redis://HOST:PORT.
    #[arg(long, value_name = "URL", requires = "mongodb")]
    redis: Option<String>,
    /// A MongoDB, mongodb://HOST:PORT; the databases octavo_bench and octavo_bench_peer are made and dropped there.
    #[arg(long, value_name = "URI", requires = "redis")]
    mongodb: Option<String>,
    /// The program to start as Redis.
    #[arg(long, value_name = "PROGRAM", env = "OCTAVO_REDIS_SERVER", default_value = "redis-server")]
    redis_server: PathBuf,
    /// The program to start as MongoDB.
    #[arg(long, value_name = "PROGRAM", env = "OCTAVO_MONGOD", default_value = "mongod")]
    mongod: PathBuf,
    /// The command of another service to measure; give its files with their whole path.
    #[arg(long, value_name = "COMMAND", conflicts_with = "peer")]
    peer_command: Option<String>,
    /// Another service that runs already, http://HOST:PORT.
    #[arg(long, value_name = "URL", requires_all = ["redis", "secret"])]
    peer: Option<String>,
    /// Its process, for CPU time and memory.
    #[arg(long, value_name = "PID", requires = "peer")]
    peer_pid: Option<u32>,
    /// Its JWT_SECRET.
    #[arg(long, value_name = "SECRET", requires = "peer")]
    secret: Option<String>,
    /// Write all figures as JSON; `-` prints them instead of the table.
    #[arg(long, value_name = "FILE|-")]
    json: Option<PathBuf>,
}

/// What measurements work with.
struct Run<'a> {
    options: &'a Options,
    stage: &'a Stage,
    progress: &'a Progress,
    auth: Auth,
    secret: String,
}

impl Bench {
    pub(super) fn run(&self) -> Result<ExitCode, CliError> {
        raise_open_files()?;
        Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?.block_on(async {
            let (mut interrupt, mut terminate) =
                (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
            let progress = Progress::new();
            progress.step("starting Redis and MongoDB");
            let dir = tempfile::Builder::new().prefix("octavo-bench-").tempdir()?;
            let mut servers = Servers::start(&self.options, dir.path()).await?;
            let stage = Stage::set(&self.options, &servers, dir.path()).await;
            let measured = match &stage {
                Ok(stage) => tokio::select! {
                    measured = self.measure(stage, &progress) => measured,
                    error = servers.ended() => Err(error),
                    _ = interrupt.recv() => Err("stopped".into()),
                    _ = terminate.recv() => Err("stopped".into()),
                },
                Err(error) => Err(error.to_string().into()),
            };
            progress.end();
            let cleared = match &stage {
                Ok(stage) if servers.are_given() => stage.clear().await,
                _ => Ok(()),
            };
            servers.stop().await?;
            dir.close()?;
            let report = measured?;
            cleared?;
            self.write(&report)?;
            Ok(ExitCode::SUCCESS)
        })
    }

    async fn measure(&self, stage: &Stage, progress: &Progress) -> Result<Report, CliError> {
        let made = || Alphanumeric.sample_string(&mut rand::rng(), 43);
        let secret = self.options.secret.clone().unwrap_or_else(made);
        let auth = Auth::new(&secret.as_str().into());
        let run = Run { options: &self.options, stage, progress, auth, secret };
        self.rounds(&run).await
    }

    /// All rounds; every second one begins with the peer.
    async fn rounds(&self, run: &Run<'_>) -> Result<Report, CliError> {
        let mut report = Report::new(Machine::look(run.stage).await?);
        let mut candidates = vec![Candidate::Octavo(1)];
        candidates.extend(Candidate::peer(run.options)?);
        for _ in 0..run.options.rounds {
            for what in self.what() {
                match what {
                    What::Drain => {
                        for kind in &run.options.kinds {
                            run.drain(&self.small(*kind), &candidates, &mut report).await?;
                        }
                    }
                    What::Images => run.drain(&self.images(), &candidates, &mut report).await?,
                }
            }
            candidates.reverse();
        }
        Ok(report)
    }

    fn what(&self) -> Vec<What> {
        if self.what.is_empty() { vec![What::Drain, What::Images] } else { self.what.clone() }
    }

    fn small(&self, kind: Kind) -> Case {
        let jobs = self.options.jobs.unwrap_or(if self.options.quick { 500 } else { 60_000 });
        let users = self.options.users.map_or(kind.users(), |users| users as usize);
        Case { of: "drain", name: kind.word().to_owned(), kind, jobs, users, image: 200 }
    }

    fn images(&self) -> Case {
        let jobs = self.options.image_jobs.unwrap_or(if self.options.quick { 20 } else { 1_000 });
        let users = self.options.users.map_or(1, |users| users as usize);
        let name = "create, 2 × 200 KB".to_owned();
        Case { of: "images", name, kind: Kind::Create, jobs, users, image: 200_000 }
    }

    fn write(&self, report: &Report) -> Result<(), CliError> {
        match self.options.json.as_deref() {
            Some(path) if path.as_os_str() == "-" => return Ok(report.write_json(&mut stdout().lock())?),
            Some(path) => {
                let cannot = |error| format!("cannot write {}: {error}", path.display());
                let mut file = BufWriter::new(File::create(path).map_err(cannot)?);
                report.write_json(&mut file).and_then(|()| file.flush()).map_err(cannot)?;
            }
            None => {}
        }
        Ok(report.write_table(&mut stdout().lock())?)
    }
}

impl Run<'_> {
    /// One backlog by everybody, and what the servers allow.
    async fn drain(
        &self,
        case: &Case,
        candidates: &[Candidate],
        report: &mut Report,
    ) -> Result<(), CliError> {
        for candidate in candidates {
            report.add(drain(self, case, candidate, false).await?);
            if *candidate == Candidate::Octavo(1) {
                report.add(drain(self, case, candidate, true).await?);
            }
        }
        if let Some(row) = bare::bare(self, case, case.of == "images").await? {
            report.add(row);
        }
        Ok(())
    }
}

/// Sockets need open files, here and in the services, which inherit the limit.
fn raise_open_files() -> Result<(), CliError> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}
