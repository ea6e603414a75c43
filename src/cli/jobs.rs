//! `octavo jobs`: dead letters of a running service, through its HTTP API.

use std::{process::ExitCode, time::Duration};

use clap::{Args, Subcommand};
use reqwest::Url;
use serde_json::Value;

use super::{
    CliError,
    api::Api,
    letters::{print_letter, print_table},
    retry::Retry,
    say,
};
use crate::{
    config::Config,
    http::{Listing, Summary},
};

#[derive(Args)]
#[command(after_help = "Examples:
  octavo jobs list --reason 'Name is missing'
  octavo jobs show 01M8XH2C5R8N1ZB0QJ1W7T3V9K
  octavo jobs retry 17 --queue Create_Character --layout bull
  octavo jobs retry --all --queue Create_Character --rate 50

A dead letter is a job that is not tried again. Driven again, it keeps its id and its time, and begins at its first attempt; a
token that has only expired is replaced by a fresh one for the same user. Nothing else of it changes.")]
pub(super) struct Jobs {
    #[command(subcommand)]
    command: Command,
    /// Where the service is; on this machine at its own port by default.
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    /// Who asks, for the service's log; an admin's token is made with the service's own key.
    #[arg(long, global = true, value_name = "U", default_value = "octavo-jobs")]
    user: String,
}

#[derive(Subcommand)]
enum Command {
    /// List dead letters, the newest first.
    List(List),
    /// Show one, with its data but no token.
    Show(Show),
    /// Drive one again, or with --all every one that matches.
    Retry(Retry),
}

/// Which dead letters are meant.
#[derive(Args)]
pub(super) struct Matching {
    /// Only those of this queue.
    #[arg(long, value_name = "Q")]
    queue: Option<String>,
    /// Only those of this layout: apalis, bull or embedded.
    #[arg(long, value_name = "L")]
    layout: Option<String>,
}

#[derive(Args)]
struct List {
    #[command(flatten)]
    matching: Matching,
    /// Only those with this text in their reason.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// How many at the most.
    #[arg(long, value_name = "N", default_value = "50", value_parser = at_least_one)]
    limit: usize,
    /// Go on where a list before ended, at its `next`.
    #[arg(long, value_name = "NEXT")]
    after: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Show {
    /// The job's id.
    id: String,
    #[command(flatten)]
    matching: Matching,
    /// Do not shorten long texts, images that is.
    #[arg(long)]
    full: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Letters in one page at the most.
const PAGE: usize = 1000;

/// The path of dead letters in the API.
pub(super) const LETTERS: [&str; 2] = ["admin", "dead-letters"];

impl Jobs {
    pub(super) fn run(&self, config: &Config) -> Result<ExitCode, CliError> {
        super::token::check(&self.user)?;
        // An hour is too short for a long run at a low rate.
        let token = super::auth(config)?.sign_admin(&self.user, Duration::from_hours(24))?;
        let api = Api::new(self.url.as_deref(), config, token)?;
        super::block_on(async {
            match &self.command {
                Command::List(list) => list.run(&api).await,
                Command::Show(show) => show.run(&api).await,
                Command::Retry(retry) => retry.run(&api).await,
            }?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

impl Matching {
    /// `path` of the API, narrowed to what is meant, and to what is in `more`.
    pub(super) fn url(&self, api: &Api, path: &[&str], more: &[(&str, Option<&str>)]) -> Url {
        let mut url = api.url(path);
        let own = [("queue", self.queue.as_deref()), ("layout", self.layout.as_deref())];
        for (name, value) in own.iter().chain(more) {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        url
    }

    /// The address of the one letter with this id, and of `more` behind it.
    pub(super) async fn letter(&self, api: &Api, id: &str, more: &[&str]) -> Result<Url, CliError> {
        let listing: Listing = api.get(self.url(api, &LETTERS, &[("id", Some(id))])).await?;
        match &listing.letters[..] {
            [] => {
                Err(format!("there is no dead letter {id}; it was driven again, or its time was up").into())
            }
            [Summary { layout, queue, .. }] => {
                Ok(api.url(&[&LETTERS[..], &[layout, queue, id], more].concat()))
            }
            several => {
                let home =
                    |letter: &Summary| format!("\n  --queue {} --layout {}", letter.queue, letter.layout);
                let homes: Vec<_> = several.iter().map(home).collect();
                Err(format!("several queues have a dead letter {id}; add one of{}", homes.concat()).into())
            }
        }
    }
}

impl List {
    async fn run(&self, api: &Api) -> Result<(), CliError> {
        let mut listing = Listing { letters: Vec::new(), next: self.after.clone() };
        // A page may have few letters, or none, and go on: the service looks at a number of them at a time.
        loop {
            let limit = (self.limit - listing.letters.len()).min(PAGE).to_string();
            let more = [
                ("reason", self.reason.as_deref()),
                ("after", listing.next.as_deref()),
                ("limit", Some(limit.as_str())),
            ];
            let page: Listing = api.get(self.matching.url(api, &LETTERS, &more)).await?;
            listing.letters.extend(page.letters);
            listing.next = page.next;
            if listing.next.is_none() || listing.letters.len() >= self.limit {
                break;
            }
        }
        if self.json {
            say(format_args!("{:#}", serde_json::to_value(&listing)?))?;
        } else {
            print_table(&listing)?;
        }
        Ok(())
    }
}

impl Show {
    async fn run(&self, api: &Api) -> Result<(), CliError> {
        let mut url = self.matching.letter(api, &self.id, &[]).await?;
        url.query_pairs_mut().append_pair("full", if self.full { "true" } else { "false" });
        let letter: Value = api.get(url).await?;
        if self.json {
            say(format_args!("{letter:#}"))?;
        } else {
            print_letter(&letter)?;
        }
        Ok(())
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "must be a number from 1 on".to_owned())
}
