//! `octavo token`.

use std::{process::ExitCode, time::Duration};

use clap::Args;

use super::{CliError, say};
use crate::config::Config;

/// How long a token is valid, as on the platform.
pub(super) const LIFETIME: Duration = Duration::from_hours(1);

#[derive(Args)]
#[command(
    after_help = "Example:\n  curl -H \"Authorization: Bearer $(octavo token --user ada)\" localhost:4016/v1/jobs/ID"
)]
pub(super) struct Token {
    /// The user's id, or the service's name.
    #[arg(long, value_name = "U")]
    user: String,
    /// Make a token for a sibling service, which may emit `Profile`, instead of a user.
    #[arg(long, conflicts_with = "admin")]
    service: bool,
    /// Make a token for an admin, who may see and retry the dead letters of all users.
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
