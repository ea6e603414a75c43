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
    telemetry::{self, Writer},
};

pub(super) fn run(config: Config) -> Result<ExitCode, CliError> {
    let log = telemetry::start(&config.log)?;
    let served = serve(config, &log);
    if let Err(error) = &served {
        log.say(format!("octavo: {error}\n").as_bytes());
    }
    log.flush();
    Ok(served.unwrap_or(ExitCode::FAILURE))
}

fn serve(config: Config, log: &Writer) -> Result<ExitCode, CliError> {
    let runtime =
        Builder::new_multi_thread().worker_threads(config.server.threads().get()).enable_all().build()?;
    super::run_on(runtime, async {
        let shutdown = CancellationToken::new();
        // From the start on: servers that are away, or an index that is made, may take long.
        let second = stop_on_signal(shutdown.clone())?;
        let serving = async {
            let Some(app) = shutdown.run_until_cancelled(App::build(config)).await.transpose()? else {
                tracing::info!("stopped before it had started");
                return Ok(ExitCode::SUCCESS);
            };
            if stderr().is_terminal() {
                let url = url(app.addresses().main);
                log.say(format!("\n  Octavo is at {url}\n  Ctrl-C stops it.\n\n").as_bytes());
            }
            app.run(shutdown.clone()).await?;
            Ok::<_, CliError>(ExitCode::SUCCESS)
        };
        tokio::select! {
            ended = serving => ended,
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
