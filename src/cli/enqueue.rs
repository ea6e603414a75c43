//! `octavo enqueue`: puts a job into a queue of a running service, through its HTTP API.

use std::{
    fs,
    io::{Read, stdin},
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{CliError, api::Api, say};
use crate::{config::Config, http::LONGEST_WAIT, queue::key_text};

/// The pause between two requests for an outcome, each of which waits.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Args)]
#[command(after_help = "Examples:
  octavo enqueue Create_Character --user ada --data aria.json
  echo '{\"Filter\": {\"Name\": \"Aria\"}}' | octavo enqueue Read_Character --user ada --data - --wait

Prints the job's id or, with --wait, its outcome; the exit code is 1 if the outcome is a failure.")]
pub(super) struct Enqueue {
    /// Create_Character, Read_Character, Update_Character or Delete_Character.
    queue: String,
    /// The user's id; the token for it is signed with the service's own key.
    #[arg(long, value_name = "U")]
    user: String,
    /// The job's data as JSON, without Id and Token; `-` reads standard input.
    #[arg(long, value_name = "FILE|-")]
    data: String,
    /// Wait for the outcome, and print it.
    #[arg(long)]
    wait: bool,
    /// How long to wait, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
    /// Repeating the command with the same key within a day yields the same job, not another one.
    #[arg(long, value_name = "KEY", value_parser = key_text)]
    idempotency_key: Option<String>,
    /// The service's address; by default its configured port on this machine.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

#[derive(Serialize)]
struct NewJob<'a> {
    queue: &'a str,
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct Accepted {
    id: String,
    status_url: String,
}

#[derive(Deserialize)]
struct Status {
    state: String,
    outcome: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Profile {
    #[serde(rename = "Status")]
    status: bool,
}

impl Enqueue {
    pub(super) fn run(&self, config: &Config) -> Result<ExitCode, CliError> {
        super::token::check(&self.user)?;
        let token = super::auth(config)?.sign(&self.user, super::token::LIFETIME)?;
        let data = self.read_data()?;
        let api = Api::new(self.url.as_deref(), config, token)?;
        super::block_on(async {
            let job = NewJob { queue: &self.queue, data: &data };
            let Accepted { id, status_url } =
                api.post_once(api.url(&["v1", "jobs"]), &job, self.idempotency_key.as_deref()).await?;
            if !self.wait {
                say(&id)?;
                return Ok(ExitCode::SUCCESS);
            }
            let outcome = self.outcome(&api, &status_url).await?;
            say(&outcome)?;
            let Profile { status } = serde_json::from_str(outcome.get())?;
            Ok(if status { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        })
    }

    fn read_data(&self) -> Result<Box<RawValue>, CliError> {
        let mut text = String::new();
        if self.data == "-" {
            stdin().read_to_string(&mut text)?;
        } else {
            text = fs::read_to_string(&self.data)
                .map_err(|error| format!("cannot read {}: {error}", self.data))?;
        }
        serde_json::from_str(&text).map_err(|error| format!("{} is not JSON: {error}", self.data).into())
    }

    async fn outcome(&self, api: &Api, status_url: &str) -> Result<Box<RawValue>, CliError> {
        let deadline = Instant::now() + Duration::from_secs(self.timeout);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = left.as_millis().div_ceil(1000).min(LONGEST_WAIT.into());
            let mut url = api.at(status_url);
            url.query_pairs_mut().append_pair("wait", &format!("{wait}s"));
            let Status { state, outcome } = api.get(url).await?;
            if let Some(outcome) = outcome {
                return Ok(outcome);
            }
            if let "done" | "failed" = &*state {
                return Err(format!("the job is {state}; its outcome is no longer kept: {status_url}").into());
            }
            if Instant::now() >= deadline {
                return Err(format!(
                    "no outcome after {} s; the job is still {state}: {status_url}",
                    self.timeout
                )
                .into());
            }
            // A service that is stopping answers without waiting.
            tokio::time::sleep(PAUSE).await;
        }
    }
}
