//! A service being measured: ours, or a peer with the same contract.

use futures_util::future::select_all;
use mongodb::{
    Database,
    bson::{Document, doc},
};
use redis::ConnectionInfo;
use tokio::process::Command;

use super::{
    CliError,
    candidate::Candidate,
    program::{Program, free_port},
    stage::{DATABASE, PEER_DATABASE, PREFIX, Stage, within},
    usage,
};
use crate::{character::store::COLLECTION, secret::Weakness};

/// A running service.
pub(super) struct Service {
    /// Where it (its first node) listens: `host:port`.
    pub address: String,
    /// Its processes, if known.
    pub pids: Vec<u32>,
    /// Its database.
    pub database: Database,
    octavo: bool,
    programs: Vec<Program>,
}

impl Service {
    /// Starts `candidate` on empty queues and an empty database, and waits until it listens.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) async fn start(stage: &Stage, candidate: &Candidate, secret: &str) -> Result<Self, CliError> {
        stage.clear_redis().await?;
        let name = if candidate.is_octavo() { DATABASE } else { PEER_DATABASE };
        let database = stage.database(name);
        let mut service = Self {
            address: String::new(),
            pids: Vec::new(),
            database,
            octavo: candidate.is_octavo(),
            programs: Vec::new(),
        };
        match candidate {
            Candidate::Octavo(nodes) => {
                within(service.database.drop()).await?;
                for node in 1..=*nodes {
                    let mut command = Command::new(std::env::current_exe()?);
                    command.arg("serve").envs(octavo_settings(&stage.redis_info));
                    service.launch(stage, &format!("octavo-{node}"), command, secret).await?;
                }
            }
            Candidate::Command(line) => {
                within(service.database.drop()).await?;
                let mut command = Command::new("sh");
                command.args(["-c", &format!("exec {line}")]);
                service.launch(stage, "peer", command, secret).await?;
            }
            Candidate::At(address, pid) => {
                // Its indexes were created when it started, and must stay.
                within(service.characters().delete_many(doc! {})).await?;
                service.address.clone_from(address);
                service.pids.extend(pid);
            }
        }
        Ok(service)
    }

    async fn launch(
        &mut self,
        stage: &Stage,
        name: &str,
        mut command: Command,
        secret: &str,
    ) -> Result<(), CliError> {
        let port = free_port().await?;
        let (host, redis_port) = stage.redis_address()?;
        command
            .env("PORT", port.to_string())
            .env("REDIS_HOST", host)
            .env("REDIS_PORT", redis_port.to_string());
        command.env("MONGODB_URI", stage.uri(self.database.name())).env("JWT_SECRET", secret);
        // A peer that runs already has the key that it has; a service of ours works with it on this machine only.
        if Weakness::of(secret).is_some() {
            command.env("OCTAVO__AUTH__ALLOW_WEAK_SECRET", "true");
        }
        command.env_remove("PORT_MESSAGES_USERS");
        let program = Program::start(name, &mut command, &stage.dir, port).await?;
        if self.address.is_empty() {
            self.address = format!("127.0.0.1:{port}");
        }
        self.pids.extend(program.pid());
        self.programs.push(program);
        Ok(())
    }

    /// The collection of characters.
    pub(super) fn characters(&self) -> mongodb::Collection<Document> {
        self.database.collection(COLLECTION)
    }

    /// Whether it acknowledges that a room was joined; the peer, like the platform, does not.
    pub(super) fn answers_joins(&self) -> bool {
        self.octavo
    }

    /// Its memory now and at its peak, in kilobytes; all nodes together.
    pub(super) fn memory_kb(&self) -> Result<Option<(u64, u64)>, CliError> {
        if self.pids.is_empty() {
            return Ok(None);
        }
        let (mut now, mut peak) = (0, 0);
        for pid in &self.pids {
            now += usage::resident_kb(*pid)?;
            peak += usage::peak_kb(*pid)?;
        }
        Ok(Some((now, peak)))
    }

    /// Restarts the measurement of its peak memory.
    pub(super) fn reset_peak(&self) {
        self.pids.iter().for_each(|pid| usage::reset_peak(*pid));
    }

    /// Waits until it ends by itself, which it should not.
    pub(super) async fn ended(&mut self) -> CliError {
        if self.programs.is_empty() {
            return std::future::pending().await;
        }
        select_all(self.programs.iter_mut().map(|program| Box::pin(program.ended()))).await.0
    }

    /// An error of this service, with the end of its log if there is one.
    pub(super) fn error(&self, what: &str) -> CliError {
        match self.programs.first() {
            Some(program) => program.error(what),
            None => format!("the service at {} {what}", self.address).into(),
        }
    }

    /// Stops it, if it was started here.
    pub(super) async fn stop(self) -> Result<(), CliError> {
        for program in self.programs {
            program.kill().await?;
        }
        Ok(())
    }
}

/// Our service's settings, besides those the peer gets as well. Others may come from the environment.
fn octavo_settings(redis: &ConnectionInfo) -> Vec<(&'static str, String)> {
    let info = redis.redis_settings();
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    vec![
        ("OCTAVO__SERVER__HOST", "127.0.0.1".to_owned()),
        ("OCTAVO__SOCKET__PORT", String::new()),
        ("OCTAVO__REDIS__SENTINELS", String::new()),
        ("OCTAVO__REDIS__USERNAME", text(info.username())),
        ("OCTAVO__REDIS__PASSWORD", text(info.password())),
        ("OCTAVO__REDIS__DATABASE", info.db().to_string()),
        ("OCTAVO__QUEUE__PREFIX", format!("{PREFIX}:")),
        ("OCTAVO__BULL__PREFIX", format!("{PREFIX}_bull")),
        // The peer logs no jobs either.
        ("OCTAVO__LOG__FILTER", "warn".to_owned()),
    ]
}
