//! `octavo token`.

use std::{process::ExitCode, time::Duration};

use clap::Args;

use super::{CliError, say};
use crate::config::Config;

/// How long a token lives, as the platform's do.
pub(super) const LIFETIME: Duration = Duration::from_hours(1);

#[derive(Args)]
#[command(
    after_help = "Example:\n  curl -H \"Authorization: Bearer $(octavo token --user ada)\" localhost:4016/v1/jobs/ID"
)]
pub(super) struct Token {
    /// The user's id, or the service's name.
    #[arg(long, value_name = "U")]
    user: String,
    /// For a sibling service, which may emit `Profile`, and not for a user.
    #[arg(long, conflicts_with = "admin")]
    service: bool,
    /// For an admin, who may look at the dead letters of all users, and drive them again.
    #[arg(long)]
    admin: bool,
}

impl Token {
    pub(super) fn run(&self, config: &Config) -> Result<ExitCode, CliError> {
        check(&self.user)?;
        let auth = super::auth(config)?;
        let token = if self.service {
            auth.sign_service(&self.user, LIFETIME)
        } else if self.admin {
            auth.sign_admin(&self.user, LIFETIME)
        } else {
            auth.sign(&self.user, LIFETIME)
        };
        say(token?)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A user's id is never empty.
pub(super) fn check(user: &str) -> Result<(), CliError> {
    if user.is_empty() { Err("--user must not be empty".into()) } else { Ok(()) }
}
