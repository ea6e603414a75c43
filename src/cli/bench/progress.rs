//! What the bench is doing, on standard error: one line that changes on a terminal, a line for each step elsewhere.

use std::{
    fmt::Arguments,
    io::{IsTerminal, Write, stderr},
    sync::Mutex,
};

/// Reports the progress.
pub(super) struct Progress {
    terminal: bool,
    step: Mutex<String>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { terminal: stderr().is_terminal(), step: Mutex::default() }
    }

    /// Starts a new step.
    pub(super) fn step(&self, step: impl Into<String>) {
        let step = step.into();
        if self.terminal {
            show(format_args!("\r\u{1b}[2K{step}"));
        } else {
            show(format_args!("{step}\n"));
        }
        if let Ok(mut current) = self.step.lock() {
            *current = step;
        }
    }

    /// Shows how much of the step is done; only on a terminal.
    pub(super) fn count(&self, done: u64, of: u64) {
        if self.terminal
            && let Ok(step) = self.step.lock()
        {
            show(format_args!("\r\u{1b}[2K{step}: {done} of {of}"));
        }
    }

    /// Prints a line that stays.
    pub(super) fn note(&self, note: &str) {
        self.end();
        show(format_args!("{note}\n"));
    }

    /// Clears the current line.
    pub(super) fn end(&self) {
        if self.terminal {
            show(format_args!("\r\u{1b}[2K"));
        }
    }
}

/// Nobody need look any more: `eprint!` would panic then.
fn show(text: Arguments<'_>) {
    stderr().write_fmt(text).ok();
}
