//! The options of `octavo bench`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, value_parser};

use super::job::Kind;

#[derive(Args)]
#[command(after_help = "Examples:
  octavo bench --quick                                     a look within a minute
  octavo bench drain --peer-command 'node /srv/peer/server.mjs' --rounds 3 --json drain.json

Redis and MongoDB are started in a temporary folder, or given with --redis and --mongodb; then they must be
empty. A peer, another service with the same contract, is started by --peer-command for each measurement, with
PORT, REDIS_HOST, REDIS_PORT, MONGODB_URI and JWT_SECRET set; or it is already running, at --peer, on the same
servers, with the database octavo_bench_peer and the JWT_SECRET given by --secret. Our own service takes its
settings from the environment, such as OCTAVO__QUEUE__CONCURRENCY, and from no file.

CPU time is in µs per job: of the service, of Redis, of MongoDB, and of the bench, which plays both producers
and users.")]
pub(in crate::cli) struct Bench {
    /// What to measure; by default everything except growth.
    #[arg(value_enum, value_name = "WHAT")]
    pub(super) what: Vec<What>,
    #[command(flatten)]
    pub(super) options: Options,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum What {
    /// Jobs per second through a backlog, until every outcome has reached its user; CPU time and memory.
    Drain,
    /// How long a user waits: one job at a time on a quiet service, and at half the rate that a drain reaches.
    Latency,
    /// A backlog of creates with two images of 200 KB each.
    Images,
    /// Memory of an idle socket.
    Connections,
    /// Two of our nodes on the same queue, against one.
    Nodes,
    /// CPU time per job of our service while many others wait.
    Growth,
}

impl What {
    /// The measurements that do not take very long.
    pub(super) const USUAL: [Self; 5] =
        [Self::Drain, Self::Latency, Self::Images, Self::Connections, Self::Nodes];
}

/// The options that all measurements share.
#[derive(Args)]
pub(super) struct Options {
    /// Use few jobs, for a quick look: the figures say little.
    #[arg(long)]
    pub quick: bool,
    /// Jobs in a backlog [60000].
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=10_000_000))]
    pub jobs: Option<u32>,
    /// Jobs with images [3000].
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub image_jobs: Option<u32>,
    /// How many users own the jobs [1 for creates and deletes, 500 for reads].
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=20_000))]
    pub users: Option<u32>,
    /// Kinds of jobs in the drain.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND,…",
        default_values_t = [Kind::Create, Kind::Read, Kind::Delete])]
    pub kinds: Vec<Kind>,
    /// Jobs per second on a quiet service.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// How long latency is measured, in seconds [20].
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=3_000))]
    pub seconds: Option<u32>,
    /// Idle sockets [10000].
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=25_000))]
    pub sockets: Option<u32>,
    /// Waiting jobs, in growth [1000,100000,1000000].
    #[arg(long, value_delimiter = ',', value_name = "N,…", value_parser = value_parser!(u32).range(1..=10_000_000))]
    pub waiting: Option<Vec<u32>>,
    /// Jobs done meanwhile, in growth [20000].
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub done: Option<u32>,
    /// Measure everything this many times, and take the median; every second round starts with the peer.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// An empty Redis that nobody uses, redis://HOST:PORT.
    #[arg(long, value_name = "URL", requires = "mongodb")]
    pub redis: Option<String>,
    /// A MongoDB, mongodb://HOST:PORT, where two databases are created and dropped: `octavo_bench`, `octavo_bench_peer`.
    #[arg(long, value_name = "URI", requires = "redis")]
    pub mongodb: Option<String>,
    /// The program to start as Redis.
    #[arg(long, value_name = "PROGRAM", env = "OCTAVO_REDIS_SERVER", default_value = "redis-server")]
    pub redis_server: PathBuf,
    /// The program to start as MongoDB.
    #[arg(long, value_name = "PROGRAM", env = "OCTAVO_MONGOD", default_value = "mongod")]
    pub mongod: PathBuf,
    /// The command that starts another service to measure; give its files with absolute paths.
    #[arg(long, value_name = "COMMAND", conflicts_with = "peer")]
    pub peer_command: Option<String>,
    /// Another service that is already running, http://HOST:PORT.
    #[arg(long, value_name = "URL", requires_all = ["redis", "secret"])]
    pub peer: Option<String>,
    /// That service's process, for CPU time and memory.
    #[arg(long, value_name = "PID", requires = "peer")]
    pub peer_pid: Option<u32>,
    /// That service's key for signing tokens.
    #[arg(long, value_name = "SECRET", requires = "peer")]
    pub secret: Option<String>,
    /// Write all figures as JSON; `-` prints them instead of the table.
    #[arg(long, value_name = "FILE|-")]
    pub json: Option<PathBuf>,
    /// Write a plot as SVG.
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
}

impl Options {
    /// The number asked for, or the usual one, or with `--quick` a small one.
    pub(super) fn or(&self, asked: Option<u32>, usual: u32, quick: u32) -> u32 {
        asked.unwrap_or(if self.quick { quick } else { usual })
    }
}
