//! `octavo jobs retry`: retries dead letters, one or all that match, at a limited rate.

use std::{
    io::{IsTerminal, Write, stderr},
    time::Duration,
};

use clap::Args;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::MissedTickBehavior;

use super::{
    CliError,
    api::Api,
    jobs::{LETTERS, Matching},
    say, warn,
};

#[derive(Args)]
#[command(override_usage = "octavo jobs retry <ID> [OPTIONS]\n       octavo jobs retry --all [OPTIONS]")]
pub(super) struct Retry {
    /// The job's id.
    #[arg(required_unless_present = "all")]
    id: Option<String>,
    /// Retry every one that matches, oldest first; those that die meanwhile are left out.
    #[arg(long, conflicts_with = "id")]
    all: bool,
    #[command(flatten)]
    matching: Matching,
    /// Only those with this text in their reason.
    #[arg(long, value_name = "TEXT", requires = "all")]
    reason: Option<String>,
    /// Retry at most this many per second.
    #[arg(long, value_name = "N", requires = "all", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: Option<u32>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What became of one batch.
#[derive(Deserialize)]
struct Retried {
    driven: u64,
    in_queue: u64,
    left: u64,
    next: Option<String>,
}

/// The most letters in one request.
const BATCH: u32 = 100;

impl Retry {
    pub(super) async fn run(&self, api: &Api) -> Result<(), CliError> {
        match &self.id {
            Some(id) => self.one(api, id).await,
            None => self.all(api).await,
        }
    }

    async fn one(&self, api: &Api, id: &str) -> Result<(), CliError> {
        let url = self.matching.letter(api, id, &["retry"]).await?;
        let done: Value = api.post(url, &()).await?;
        if self.json {
            say(&done)?;
        } else {
            say(format_args!("job {id} was retried"))?;
        }
        Ok(())
    }

    async fn all(&self, api: &Api) -> Result<(), CliError> {
        let (mut driven, mut in_queue, mut after) = (0, 0, None::<String>);
        // Several requests per second, so that the letters are spread evenly.
        let batch = self.rate.map_or(BATCH, |rate| rate.div_ceil(10).min(BATCH));
        let every = self.rate.map(|rate| Duration::from_secs(batch.into()) / rate);
        let mut tick = every.map(tokio::time::interval);
        if let Some(tick) = &mut tick {
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        loop {
            if let Some(tick) = &mut tick {
                tick.tick().await;
            }
            let limit = batch.to_string();
            let more = [
                ("reason", self.reason.as_deref()),
                ("after", after.as_deref()),
                ("limit", Some(limit.as_str())),
            ];
            let url = self.matching.url(api, &[LETTERS[0], LETTERS[1], "retry"], &more);
            let done: Result<Retried, _> = api.post(url, &()).await;
            let done = done.map_err(|error| match driven {
                0 => error,
                _ => format!("after {driven} were retried: {error}").into(),
            })?;
            driven += done.driven;
            in_queue += done.in_queue;
            if stderr().is_terminal() {
                write!(stderr(), "\r{driven} retried, {} left \x1b[K", done.left).ok();
            }
            after = done.next;
            if after.is_none() {
                break;
            }
        }
        if stderr().is_terminal() {
            write!(stderr(), "\r\x1b[K").ok();
        }
        if self.json {
            say(serde_json::json!({ "driven": driven, "in_queue": in_queue }))?;
        } else {
            say(format_args!("{driven} retried"))?;
        }
        if in_queue > 0 {
            warn(format_args!("octavo: {in_queue} were skipped: their queue already has a job with that id"));
        }
        Ok(())
    }
}
