//! The machine and the software that were measured.

use std::{fmt, fs, thread::available_parallelism};

use mongodb::bson::doc;
use serde::Serialize;

use super::{
    CliError,
    stage::{Stage, within},
};

/// What the figures depend on.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    cpus: usize,
    cpu: String,
    memory_gb: u64,
    kernel: String,
    octavo: &'static str,
    /// Whether this binary is a release build.
    optimised: bool,
    redis: String,
    mongodb: String,
}

impl Machine {
    pub(super) async fn look(stage: &Stage) -> Result<Self, CliError> {
        let server: String = redis::cmd("INFO").arg("server").query_async(&mut stage.redis.clone()).await?;
        let build = within(stage.database("admin").run_command(doc! { "buildInfo": 1 })).await?;
        let memory_kb = field("/proc/meminfo", "MemTotal")
            .split_whitespace()
            .next()
            .and_then(|kb| kb.parse::<u64>().ok());
        Ok(Self {
            cpus: available_parallelism()?.get(),
            cpu: field("/proc/cpuinfo", "model name"),
            memory_gb: memory_kb.unwrap_or(0) >> 20,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            octavo: env!("CARGO_PKG_VERSION"),
            optimised: !cfg!(debug_assertions),
            redis: value(&server, "redis_version"),
            mongodb: build.get_str("version").unwrap_or_default().to_owned(),
        })
    }
}

fn field(file: &str, name: &str) -> String {
    value(&fs::read_to_string(file).unwrap_or_default(), name)
}

/// The first `name: value`.
fn value(text: &str, name: &str) -> String {
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(field, _)| field.trim() == name).map_or(String::new(), |(_, value)| value.trim().to_owned())
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpus, cpu, memory_gb, kernel, octavo, optimised, redis, mongodb } = self;
        write!(
            f,
            "Octavo {octavo}, Redis {redis}, MongoDB {mongodb}, all on {cpus} × {cpu}, {memory_gb} GB, Linux {kernel}"
        )?;
        if !optimised {
            write!(f, "\nThis is a debug build: its figures mean nothing. Build with --release.")?;
        }
        Ok(())
    }
}
