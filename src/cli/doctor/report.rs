//! The findings, as lines for people or JSON for machines.

use std::io::{self, IsTerminal, Write, stdout};

use serde::Serialize;

use crate::telemetry;

/// One thing that was checked.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    name: &'static str,
    status: Status,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Warning,
    Failure,
}

impl Check {
    /// All is well with `name`.
    pub(super) fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, found: found.into(), advice: None }
    }

    /// The service works, but not as well as it should.
    pub(super) fn warning(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, status: Status::Warning, found: found.into(), advice: Some(advice.into()) }
    }

    /// The service does not work, or may lose jobs, or is open to everybody.
    pub(super) fn failure(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, status: Status::Failure, found: found.into(), advice: Some(advice.into()) }
    }
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }

    /// The escape sequence of its colour.
    fn colour(self) -> &'static str {
        match self {
            Self::Ok => "\u{1b}[32m",
            Self::Warning => "\u{1b}[33m",
            Self::Failure => "\u{1b}[31m",
        }
    }
}

/// Everything that was checked.
pub(super) struct Report(pub(super) Vec<Check>);

impl Report {
    /// Whether anything failed.
    pub(super) fn has_failed(&self) -> bool {
        self.count(Status::Failure) > 0
    }

    /// Writes it, in colour on a terminal.
    pub(super) fn print(&self, out: &mut impl Write, json: bool) -> io::Result<()> {
        if json {
            #[derive(Serialize)]
            struct Json<'a> {
                status: Status,
                checks: &'a [Check],
            }
            let status = if self.has_failed() { Status::Failure } else { Status::Ok };
            serde_json::to_writer_pretty(&mut *out, &Json { status, checks: &self.0 })?;
            return writeln!(out);
        }
        let colour = stdout().is_terminal() && telemetry::wants_colours();
        let width = self.0.iter().map(|check| check.name.len()).max().unwrap_or_default();
        for Check { name, status, found, advice } in &self.0 {
            let (on, off) = if colour { (status.colour(), "\u{1b}[0m") } else { ("", "") };
            writeln!(out, "{on}{:<8}{off} {name:<width$}  {found}", status.word())?;
            if let Some(advice) = advice {
                writeln!(out, "{:<8} {:<width$}  -> {advice}", "", "")?;
            }
        }
        let count = |status| self.count(status);
        writeln!(
            out,
            "\nok: {}, warnings: {}, failures: {}",
            count(Status::Ok),
            count(Status::Warning),
            count(Status::Failure)
        )
    }

    fn count(&self, status: Status) -> usize {
        self.0.iter().filter(|check| check.status == status).count()
    }
}
