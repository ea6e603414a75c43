//! `octavo serve`.

use std::{
    io::{IsTerminal, stderr},
    process::ExitCode,
};

use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use super::CliError;
use crate::{
    app::{App, url},
    config::Config,
    telemetry,
};

pub(super) fn run(config: Config) -> Result<ExitCode, CliError> {
    telemetry::start(&config.log)?;
    let runtime =
        Builder::new_multi_thread().worker_threads(config.server.threads().get()).enable_all().build()?;
    super::run_on(runtime, async {
        let app = App::build(config).await?;
        if stderr().is_terminal() {
            eprintln!("\n  Octavo is at {}\n  Ctrl-C stops it.\n", url(app.addresses()?.0));
        }
        let shutdown = CancellationToken::new();
        let second = stop_on_signal(shutdown.clone())?;
        tokio::select! {
            ended = app.run(shutdown) => ended.map(|()| ExitCode::SUCCESS).map_err(CliError::from),
            () = second => Err("stopped at once by a second signal; unfinished jobs run again when their leases end".into()),
        }
    })
}

/// Cancels `shutdown` at the first SIGTERM or SIGINT; the future ends at the second.
fn stop_on_signal(shutdown: CancellationToken) -> Result<impl Future<Output = ()>, CliError> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut next = async move || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Ok(async move {
        next().await;
        shutdown.cancel();
        next().await;
    })
}
