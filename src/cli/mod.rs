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
    io::{self, Write, stdout},
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

/// What a command may fail with: the text says what to do.
type CliError = Box<dyn std::error::Error + Send + Sync>;

/// The Character Creator of Proyecto Octavo: takes jobs, keeps characters, tells browsers.
///
/// Without REDIS_HOST and MONGODB_URI it keeps everything in ./data and needs no server.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    /// A file of settings, on top of the defaults; without it, octavo.toml when it is there.
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
  octavo doctor                                 what is wrong with Redis, MongoDB, clocks, the secret
  octavo jobs list                              the dead letters; octavo jobs retry drives them again

Settings: every one is in config/default.toml; queue.concurrency is OCTAVO__QUEUE__CONCURRENCY.";

#[derive(Subcommand)]
enum Command {
    /// Serve: HTTP, Socket.IO, and the workers (also the default).
    Serve,
    /// Put a job into a queue of a running service.
    Enqueue(enqueue::Enqueue),
    /// Look at everything that the service depends on, and say what to do.
    Doctor(doctor::Doctor),
    /// List dead letters of a running service, show one, or drive them again.
    Jobs(jobs::Jobs),
    /// Print a token for a user, valid for an hour.
    Token(token::Token),
    /// Measure how fast the service is, on real servers, beside another one.
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
        // Whoever reads what is printed has seen enough.
        let closed =
            error.downcast_ref().is_some_and(|error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe);
        if closed {
            return ExitCode::SUCCESS;
        }
        eprintln!("octavo: {error}");
        ExitCode::FAILURE
    })
}

/// Prints a line to standard output.
fn say(line: impl Display) -> Result<(), CliError> {
    Ok(writeln!(stdout(), "{line}")?)
}

/// The settings from the file, `.env`, and the environment.
fn settings(file: Option<PathBuf>) -> Result<Config, CliError> {
    let mut env = Environment::new();
    let dotenv = Path::new(".env");
    if dotenv.exists() {
        // The library shows the line, which may hold a secret.
        let unreadable = |error| match error {
            dotenvy::Error::Io(error) => format!(".env cannot be read: {error}"),
            _ => ".env has a line that is not NAME=value; put a value with spaces or # in quotes".to_owned(),
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

/// Runs a command to its end, and the process is to end with it: the runtime is left as it is. To take it down would wait
/// for what hangs, a name that DNS does not answer, say, and tasks of the MongoDB driver panic when others go first.
fn block_on<T>(command: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    run_on(Runtime::new()?, command)
}

fn run_on<T>(runtime: Runtime, command: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    let done = runtime.block_on(command);
    mem::forget(runtime);
    done
}

/// The key that the service of these settings signs with.
fn auth(config: &Config) -> Result<Auth, CliError> {
    Ok(match &config.storage {
        Storage::Embedded { secret: Some(secret), .. } | Storage::Servers { secret, .. } => Auth::new(secret),
        Storage::Embedded { dir, secret: None } => Auth::new(&secret::kept(dir)?),
    })
}
