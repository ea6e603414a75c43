//! A server or service that the bench starts and stops.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::sleep,
};

use super::CliError;

/// How long a program may take until it listens.
const START: Duration = Duration::from_mins(1);

/// How often we check whether it does.
const LOOK: Duration = Duration::from_millis(20);

/// How many lines of its log an error shows.
const TAIL: usize = 20;

/// A running program; it is killed when dropped.
pub(super) struct Program {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts `command` in `dir` under the name `name`, and waits until it listens on `port`.
    ///
    /// # Errors
    /// When it cannot be started, ends, or does not listen within a minute.
    pub(super) async fn start(
        name: &str,
        command: &mut Command,
        dir: &Path,
        port: u16,
    ) -> Result<Self, CliError> {
        let log = dir.join(format!("{name}.log"));
        let output = File::create(&log)?;
        let child = command
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                let program = command.as_std().get_program().display();
                format!("cannot start {name} ({program}): {error}")
            })?;
        let mut program = Self { name: name.to_owned(), child, log };
        let listens = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                sleep(LOOK).await;
            }
        };
        let within = tokio::time::timeout(START, listens);
        let late = tokio::select! {
            listens = within => listens.is_err(),
            error = program.ended() => return Err(error),
        };
        if late {
            return Err(program.error(&format!("does not listen on port {port} after {} s", START.as_secs())));
        }
        Ok(program)
    }

    /// Its process id.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until it ends by itself, which it should not; the error shows the end of its log.
    pub(super) async fn ended(&mut self) -> CliError {
        let how = self.child.wait().await;
        self.error(&format!(
            "ended by itself ({})",
            how.map_or_else(|e| e.to_string(), |s: ExitStatus| s.to_string())
        ))
    }

    /// Kills it: nothing of it is needed any more.
    pub(super) async fn kill(mut self) -> Result<(), CliError> {
        self.child.kill().await.map_err(|error| format!("cannot kill {}: {error}", self.name).into())
    }

    /// An error of this program, with the end of its log.
    pub(super) fn error(&self, what: &str) -> CliError {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
        format!("{} {what}; the end of its log:\n{tail}", self.name).into()
    }
}

/// A port that nobody is listening on.
pub(super) async fn free_port() -> Result<u16, CliError> {
    Ok(TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?.port())
}
