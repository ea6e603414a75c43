//! `octavo token`.

use std::{process::ExitCode, time::Duration};

use clap::Args;

use super::CliError;
use crate::config::Config;

/// How long a token lives, as the platform's do.
pub(super) const LIFETIME: Duration = Duration::from_hours(1);

#[derive(Args)]
#[command(
    after_help = "Example:\n  curl -H \"Authorization: Bearer $(octavo token --user ada)\" localhost:4016/v1/jobs/ID"
)]
pub(super) struct Token {
    /// The user's id.
    #[arg(long, value_name = "U")]
    user: String,
}

impl Token {
    pub(super) fn run(&self, config: &Config) -> Result<ExitCode, CliError> {
        if self.user.is_empty() {
            return Err("--user must not be empty".into());
        }
        println!("{}", super::auth(config)?.sign(&self.user, LIFETIME)?);
        Ok(ExitCode::SUCCESS)
    }
}
