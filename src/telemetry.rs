//! The log: for people on a terminal, one JSON object per line otherwise.

mod writer;

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{self, IsTerminal},
    panic,
};

use tracing_subscriber::{EnvFilter, fmt};

pub(crate) use writer::{DROPPED, Writer};

use crate::config::{Log, LogFormat};

/// Starts logging to standard error, panics too.
///
/// # Errors
/// When the filter is invalid, or logging was already started.
pub(crate) fn start(config: &Log) -> Result<Writer, Box<dyn std::error::Error + Send + Sync>> {
    let filter = EnvFilter::try_new(&config.filter)?;
    let writer = Writer::start()?;
    let make = writer.clone();
    let log = fmt().with_env_filter(filter).with_writer(move || make.clone()).with_target(false);
    let terminal = io::stderr().is_terminal();
    let colours = terminal && wants_colours();
    match config.format {
        LogFormat::Json => log.json().flatten_event(true).try_init(),
        LogFormat::Auto if !terminal => log.json().flatten_event(true).try_init(),
        LogFormat::Auto | LogFormat::Pretty => log.with_ansi(colours).try_init(),
    }?;
    panic::set_hook(Box::new(log_panic));
    Ok(writer)
}

/// The default hook writes to standard error itself, and so would wait for a reader that has stalled.
fn log_panic(panic: &panic::PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    let place = panic.location().map(ToString::to_string);
    tracing::error!(place, backtrace, "a thread panicked: {}", panic.payload_as_str().unwrap_or_default());
}

/// Whether the user of a terminal wants colours, by the `NO_COLOR` convention, and the terminal can show them.
#[must_use]
pub fn wants_colours() -> bool {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}
