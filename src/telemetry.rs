//! The log: for people on a terminal, one JSON object per line otherwise.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{Log, LogFormat};

/// Starts logging to standard error.
///
/// # Errors
/// When the filter is invalid, or logging was already started.
pub fn start(config: &Log) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter = EnvFilter::try_new(&config.filter)?;
    let log = fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    let terminal = io::stderr().is_terminal();
    let colours = terminal && wants_colours();
    match config.format {
        LogFormat::Json => log.json().flatten_event(true).try_init(),
        LogFormat::Auto if !terminal => log.json().flatten_event(true).try_init(),
        LogFormat::Auto | LogFormat::Pretty => log.with_ansi(colours).try_init(),
    }
}

/// Whether the user of a terminal wants colours, by the `NO_COLOR` convention, and the terminal can show them.
#[must_use]
pub fn wants_colours() -> bool {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}
