//! `octavo doctor`: checks everything that the service depends on, changes nothing, and says what to do.

mod clock;
mod data;
mod machine;
mod mongodb;
mod redis;
mod report;
mod secret;

use std::{io::stdout, process::ExitCode, time::Duration};

use clap::Args;
use tokio::task::spawn_blocking;

use super::CliError;
use crate::config::{Config, Mistakes, Storage};
use report::{Check, Report};

/// The time limit for each step of a check: a silent server is one failure, and the others are still checked.
const LIMIT: Duration = Duration::from_secs(5);

#[derive(Args)]
#[command(after_help = "Examples:
  octavo doctor
  octavo doctor --json | jq '.checks[] | select(.status != \"ok\")'

Settings are read as `octavo serve` reads them; nothing is changed. The exit code is 1 if a check failed;
warnings do not count.")]
pub(super) struct Doctor {
    /// Print JSON, for machines.
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// Examines what the settings point to, or reports the mistakes in them.
    pub(super) fn run(&self, settings: Result<Config, CliError>) -> Result<ExitCode, CliError> {
        let report = match settings {
            Ok(config) => super::block_on(async { Ok(examine(config).await) })?,
            Err(error) => Report(mistakes(error)),
        };
        report.print(&mut stdout().lock(), self.json)?;
        Ok(if report.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

async fn examine(config: Config) -> Report {
    let mut checks = settings(&config);
    match &config.storage {
        Storage::Embedded { dir, secret } => {
            checks.push(secret::embedded(secret.as_ref(), dir));
            let looked = spawn_blocking({
                let dir = dir.clone();
                move || data::examine(&dir)
            });
            checks.extend(match tokio::time::timeout(LIMIT, looked).await {
                Ok(Ok(looked)) => looked,
                Ok(Err(panic)) => vec![data::unusable(dir, &panic)],
                Err(late) => vec![data::unusable(dir, &late)],
            });
            checks.push(machine::open_files(0));
        }
        Storage::Servers { redis, mongodb, secret } => {
            checks.push(secret::given(secret));
            let at_a_time = config.queue.connections();
            let (redis, (mongodb, pool)) =
                tokio::join!(redis::examine(redis, &config), mongodb::examine(mongodb, at_a_time));
            checks.extend(redis.into_iter().chain(mongodb));
            checks.push(machine::open_files(pool));
        }
    }
    Report(checks)
}

/// Reports that the settings have no mistakes, and the warnings that every start logs.
fn settings(config: &Config) -> Vec<Check> {
    const NAME: &str = "settings";
    let warnings = config.warnings();
    if warnings.is_empty() {
        return vec![Check::ok(NAME, "no mistakes")];
    }
    let advice = "turn it off as soon as the clients allow it; docs/migrating.md says how";
    warnings.into_iter().map(|warning| Check::warning(NAME, warning, advice)).collect()
}

/// Each mistake in the settings is a failure; nothing else can be checked then.
fn mistakes(error: CliError) -> Vec<Check> {
    let mistakes = match error.downcast::<Mistakes>() {
        Ok(mistakes) => mistakes.0,
        Err(error) => vec![error.to_string()],
    };
    let advice = "correct it, and run octavo doctor again; config/default.toml explains every setting";
    mistakes.into_iter().map(|mistake| Check::failure("settings", mistake, advice)).collect()
}
