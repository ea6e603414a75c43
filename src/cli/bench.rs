//! `octavo bench`: how fast the service is on real servers, alone or beside another service with the same contract.

mod audience;
mod backlog;
mod bare;
mod bare_loop;
mod candidate;
mod connections;
mod drain;
mod growth;
mod job;
mod latency;
mod machine;
mod options;
mod pace;
mod plan;
mod plot;
mod program;
mod progress;
mod report;
mod row;
mod servers;
mod service;
mod session;
mod socket;
mod stage;
mod table;
mod tally;
mod usage;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
};

use rand::distr::{Alphanumeric, SampleString};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(super) use self::options::Bench;
use self::{options::Options, progress::Progress, report::Report, servers::Servers, stage::Stage};
use super::CliError;
use crate::auth::Auth;

/// What the measurements share.
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
        for path in self.files() {
            // To find out now, not after an hour.
            OpenOptions::new()
                .append(true)
                .create(true)
                .open(path)
                .map_err(|error| cannot_write(path, &error))?;
        }
        let report = super::block_on(async {
            let progress = Progress::new();
            progress.step("preparing Redis and MongoDB");
            let dir = tempfile::Builder::new().prefix("octavo-bench-").tempdir()?;
            let report = self.on_servers(&dir, &progress).await;
            progress.end();
            let closed = dir.close();
            report.and_then(|report| Ok(closed.map(|()| report)?))
        })?;
        self.write(&report)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Measures, and stops what was started, whatever happens.
    async fn on_servers(&self, dir: &TempDir, progress: &Progress) -> Result<Report, CliError> {
        let mut stop = Stop::new()?;
        let mut servers = tokio::select! {
            servers = Servers::start(&self.options, dir.path()) => servers?,
            stopped = stop.asked() => return Err(stopped),
        };
        let measured = async {
            let stage = tokio::select! {
                stage = Stage::set(&self.options, &servers, dir.path()) => stage?,
                stopped = stop.asked() => return Err(stopped),
            };
            let given = servers.are_given();
            let measured = tokio::select! {
                measured = self.measure(&stage, progress) => measured,
                error = servers.ended() => Err(error),
                stopped = stop.asked() => Err(stopped),
            };
            let cleared = if given { stage.clear(self.options.peer.is_some()).await } else { Ok(()) };
            measured.and_then(|report| cleared.map(|()| report))
        };
        let measured = measured.await;
        servers.stop().await?;
        measured
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        let Options { json, plot, .. } = &self.options;
        [json, plot].into_iter().flatten().map(PathBuf::as_path).filter(|path| path.as_os_str() != "-")
    }

    async fn measure(&self, stage: &Stage, progress: &Progress) -> Result<Report, CliError> {
        let made = || Alphanumeric.sample_string(&mut rand::rng(), 43);
        let secret = self.options.secret.clone().unwrap_or_else(made);
        let auth = Auth::new(&secret.as_str().into());
        let run = Run { options: &self.options, stage, progress, auth, secret };
        plan::measure(&run, &self.what).await
    }

    fn write(&self, report: &Report) -> Result<(), CliError> {
        let Options { json, plot, .. } = &self.options;
        if let Some(path) = plot {
            fs::write(path, plot::svg(report)).map_err(|error| cannot_write(path, &error))?;
        }
        match json {
            Some(path) if path.as_os_str() == "-" => return Ok(report.write_json(&mut stdout().lock())?),
            Some(path) => {
                let file = File::create(path).map(BufWriter::new);
                let written =
                    file.and_then(|mut file| report.write_json(&mut file).and_then(|()| file.flush()));
                written.map_err(|error| cannot_write(path, &error))?;
            }
            None => {}
        }
        Ok(table::write(report, &mut stdout().lock())?)
    }
}

/// A request to stop the bench: Ctrl-C, a supervisor, or a closed terminal.
struct Stop([Signal; 3]);

impl Stop {
    fn new() -> io::Result<Self> {
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        Ok(Self([interrupt?, terminate?, hangup?]))
    }

    async fn asked(&mut self) -> CliError {
        let Self([interrupt, terminate, hangup]) = self;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        "stopped".into()
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> CliError {
    format!("cannot write {}: {error}", path.display()).into()
}

/// Raises our limit of open files, which sockets need here and in the services; these inherit it.
fn raise_open_files() -> Result<(), CliError> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}
