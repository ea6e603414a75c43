//! Redis and MongoDB for one run: given, or started in a temporary folder.

use std::{fs, path::Path};

use futures_util::future::select_all;
use tokio::process::Command;

use super::{
    CliError,
    options::Options,
    program::{Program, free_port},
};

/// Where the servers are, and which were started here.
pub(super) struct Servers {
    /// `redis://…`
    pub redis: String,
    /// `mongodb://…`
    pub mongodb: String,
    started: Vec<Program>,
}

impl Servers {
    /// The servers given in `options`, or new ones with their files in `dir`.
    ///
    /// # Errors
    /// When one cannot be started; none is left running.
    pub(super) async fn start(options: &Options, dir: &Path) -> Result<Self, CliError> {
        if let Some((redis, mongodb)) = options.redis.clone().zip(options.mongodb.clone()) {
            return Ok(Self { redis, mongodb, started: Vec::new() });
        }
        let (redis, redis_port) = start_redis(options, dir).await?;
        match start_mongod(options, dir).await {
            Ok((mongod, port)) => Ok(Self {
                redis: format!("redis://127.0.0.1:{redis_port}"),
                mongodb: format!("mongodb://127.0.0.1:{port}"),
                started: vec![redis, mongod],
            }),
            Err(error) => {
                redis.kill().await?;
                Err(error)
            }
        }
    }

    /// Whether they existed before, and will afterwards.
    pub(super) fn are_given(&self) -> bool {
        self.started.is_empty()
    }

    /// Waits until one that was started ends by itself, which it should not.
    pub(super) async fn ended(&mut self) -> CliError {
        if self.started.is_empty() {
            return std::future::pending().await;
        }
        select_all(self.started.iter_mut().map(|program| Box::pin(program.ended()))).await.0
    }

    /// Stops those that were started.
    pub(super) async fn stop(self) -> Result<(), CliError> {
        for program in self.started {
            program.kill().await?;
        }
        Ok(())
    }
}

/// Starts Redis as the README asks: with its append-only log, and no key evicted.
async fn start_redis(options: &Options, dir: &Path) -> Result<(Program, u16), CliError> {
    let port = free_port().await?;
    let mut command = Command::new(&options.redis_server);
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "yes"]);
    command.args(["--maxmemory-policy", "noeviction", "--auto-aof-rewrite-percentage", "0"]);
    Ok((Program::start("redis-server", &mut command, dir, port).await?, port))
}

async fn start_mongod(options: &Options, dir: &Path) -> Result<(Program, u16), CliError> {
    let port = free_port().await?;
    let data = dir.join("mongod");
    fs::create_dir(&data)?;
    let mut command = Command::new(&options.mongod);
    command.args(["--bind_ip", "127.0.0.1", "--port", &port.to_string(), "--nounixsocket", "--dbpath"]);
    command.arg(data).args(["--wiredTigerCacheSizeGB", "1"]);
    command.args(["--setParameter", "diagnosticDataCollectionEnabled=false"]);
    Ok((Program::start("mongod", &mut command, dir, port).await?, port))
}
