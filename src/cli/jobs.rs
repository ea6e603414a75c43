//! `octavo jobs`: dead letters of a running service, through its HTTP API.

use std::{process::ExitCode, time::Duration};

use clap::{Args, Subcommand};
use reqwest::Url;

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
    json::Json,
};

#[derive(Args)]
#[command(after_help = "Examples:
  octavo jobs list --reason 'Name is missing'
  octavo jobs show 01M8XH2C5R8N1ZB0QJ1W7T3V9K
  octavo jobs retry 17 --queue Create_Character --layout bull
  octavo jobs retry --all --queue Create_Character --rate 50

A dead letter is a job that is not tried again by itself. A retried one keeps its id and its time, and starts
over at its first attempt; a token that has merely expired is replaced by a fresh one for the same user.
Nothing else changes.")]
pub(super) struct Jobs {
    #[command(subcommand)]
    command: Command,
    /// The service's address; by default where its settings put /admin, on this machine.
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    /// Whom the service's log should name; the admin token is signed with the service's own key.
    #[arg(long, global = true, value_name = "U", default_value = "octavo-jobs")]
    user: String,
}

#[derive(Subcommand)]
enum Command {
    /// List dead letters, newest first.
    List(List),
    /// Show one, with its data but without its token.
    Show(Show),
    /// Retry one or, with --all, every one that matches.
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
    /// List at most this many.
    #[arg(long, value_name = "N", default_value = "50", value_parser = at_least_one)]
    limit: usize,
    /// Continue where an earlier list ended, at its `next`.
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
    /// Show long values (such as images) in full.
    #[arg(long)]
    full: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The most letters in one page.
const PAGE: usize = 1000;

/// The path of dead letters in the API.
pub(super) const LETTERS: [&str; 2] = ["admin", "dead-letters"];

impl Jobs {
    pub(super) fn run(&self, config: &Config) -> Result<ExitCode, CliError> {
        super::token::check(&self.user)?;
        // An hour is too short for a long run at a low rate.
        let token = super::auth(config)?.sign_admin(&self.user, Duration::from_hours(24))?;
        let api = Api::of_admin(self.url.as_deref(), config, token)?;
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
    /// `path` in the API, narrowed to the letters that are meant, and by `more`.
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

    /// The address of the one letter with this id, followed by `more`.
    pub(super) async fn letter(&self, api: &Api, id: &str, more: &[&str]) -> Result<Url, CliError> {
        let listing: Listing = api.get(self.url(api, &LETTERS, &[("id", Some(id))])).await?;
        match &listing.letters[..] {
            [] => {
                Err(format!("there is no dead letter {id}; it was retried meanwhile, or has expired").into())
            }
            [Summary { layout, queue, .. }] => {
                Ok(api.url(&[&LETTERS[..], &[layout, queue, id], more].concat()))
            }
            several => {
                let home =
                    |letter: &Summary| format!("\n  --queue {} --layout {}", letter.queue, letter.layout);
                let homes: Vec<_> = several.iter().map(home).collect();
                Err(format!("several queues have a dead letter {id}; add one of:{}", homes.concat()).into())
            }
        }
    }
}

impl List {
    async fn run(&self, api: &Api) -> Result<(), CliError> {
        let mut listing = Listing { letters: Vec::new(), next: self.after.clone() };
        // A page may hold few letters, or none, and still have a next: the service examines a limited number at a time.
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
        let Json(letter) = api.get(url).await?;
        if self.json {
            say(format_args!("{letter:#}"))?;
        } else {
            print_letter(&letter)?;
        }
        Ok(())
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "must be a number of at least 1".to_owned())
}
