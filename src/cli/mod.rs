//! The command line.

mod api;
mod bench;
mod doctor;
mod enqueue;
mod jobs;
mod letters;
mod retry;
mod serve;
mod token;

use std::{
    fmt::Display,
    io::{self, Write, stderr, stdout},
    mem,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

use crate::{
    auth::Auth,
    config::{Config, Environment, Storage},
    secret,
};

/// A command's error; the text says what to do.
type CliError = Box<dyn std::error::Error + Send + Sync>;

/// The Character Creator of Proyecto Octavo: runs jobs, keeps characters, tells browsers the outcomes.
///
/// Without REDIS_HOST and MONGODB_URI it keeps everything in ./data and needs no server.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    /// A settings file that overrides the defaults; without it, octavo.toml is used if it exists.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "Examples:
  octavo                                        serve on http://127.0.0.1:4016, data in ./data
  REDIS_HOST=localhost MONGODB_URI=mongodb://localhost/storybang JWT_SECRET=… octavo serve
  octavo token --user ada                       print a token for ada
  octavo enqueue Create_Character --user ada --data aria.json --wait
  octavo doctor                                 check Redis, MongoDB, the clocks, the secret and more
  octavo jobs list                              list the dead letters; octavo jobs retry retries them

Settings: config/default.toml has them all; queue.concurrency is set by OCTAVO__QUEUE__CONCURRENCY.";

#[derive(Subcommand)]
enum Command {
    /// Serve HTTP and Socket.IO, and run the workers (the default).
    Serve,
    /// Put a job into a queue of a running service.
    Enqueue(enqueue::Enqueue),
    /// Check everything that the service depends on, and say what to do.
    Doctor(doctor::Doctor),
    /// List dead letters of a running service, show one, or retry them.
    Jobs(jobs::Jobs),
    /// Print a token for a user, valid for an hour.
    Token(token::Token),
    /// Measure how fast the service is on real servers, alone or beside another service.
    Bench(bench::Bench),
}

/// Runs the command that the arguments ask for.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let settings = settings(cli.config);
    let ran = match cli.command.unwrap_or(Command::Serve) {
        Command::Doctor(doctor) => doctor.run(settings),
        Command::Bench(bench) => bench.run(),
        Command::Serve => settings.and_then(serve::run),
        Command::Enqueue(enqueue) => settings.and_then(|config| enqueue.run(&config)),
        Command::Jobs(jobs) => settings.and_then(|config| jobs.run(&config)),
        Command::Token(token) => settings.and_then(|config| token.run(&config)),
    };
    ran.unwrap_or_else(|error| {
        // The reader of our output has closed the pipe.
        let closed =
            error.downcast_ref().is_some_and(|error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe);
        if closed {
            return ExitCode::SUCCESS;
        }
        warn(format_args!("octavo: {error}"));
        ExitCode::FAILURE
    })
}

/// Prints a line to standard output.
fn say(line: impl Display) -> Result<(), CliError> {
    Ok(writeln!(stdout(), "{line}")?)
}

/// Prints a line to standard error, which nobody need read any more: `eprintln!` would panic then.
fn warn(line: impl Display) {
    writeln!(stderr(), "{line}").ok();
}

/// The settings from the file, `.env`, and the environment.
fn settings(file: Option<PathBuf>) -> Result<Config, CliError> {
    let mut env = Environment::new();
    let dotenv = Path::new(".env");
    if dotenv.exists() {
        // The library's message shows the line, which may hold a secret.
        let unreadable = |error| match error {
            dotenvy::Error::Io(error) => format!(".env cannot be read: {error}"),
            _ => ".env has a line that is not NAME=value; quote values that contain spaces or #".to_owned(),
        };
        for variable in dotenvy::from_path_iter(dotenv).map_err(unreadable)? {
            let (name, value) = variable.map_err(unreadable)?;
            env.insert(name, value);
        }
    }
    env.extend(
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    );
    let file = file.or_else(|| Some(PathBuf::from("octavo.toml")).filter(|path| path.exists()));
    Ok(Config::load(file, &env)?)
}

/// Runs a command to its end, after which the process must exit: the runtime is not shut down. Shutting it down would
/// wait for whatever hangs (a DNS lookup without an answer, for example), and tasks of the MongoDB driver panic when
/// others end before them.
fn block_on<T>(command: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    run_on(Runtime::new()?, command)
}

fn run_on<T>(runtime: Runtime, command: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    let done = runtime.block_on(command);
    mem::forget(runtime);
    done
}

/// The key that a service with these settings signs with.
fn auth(config: &Config) -> Result<Auth, CliError> {
    Ok(match &config.storage {
        Storage::Embedded { secret: Some(secret), .. } | Storage::Servers { secret, .. } => Auth::new(secret),
        Storage::Embedded { dir, secret: None } => Auth::new(&secret::kept(dir)?),
    })
}
