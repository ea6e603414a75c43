//! A queue as a backend of apalis: claimed jobs are handed to the worker as they come.
//!
//! Never fails: an error of the queue makes the claiming wait, and does not end the worker.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll, ready},
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    task::{Task, builder::TaskBuilder, task_id::TaskId},
    worker::context::WorkerContext,
};
use tokio::sync::mpsc;
use tower_layer::Identity;

use super::{Job, held::Holding, slots::Slot, worker::Pass};

/// A claimed job, with its lease, its slot, and its part in the gate: all are let go when this is dropped.
pub struct Claimed {
    pub(super) job: Job,
    pub(super) _holding: Holding,
    pub(super) slot: Slot,
    pub(super) _pass: Arc<Pass>,
}

/// The receiving end of a claim loop. When the loop has ended, and all it claimed has been handed over, the worker
/// finishes what runs and ends.
pub struct JobBackend {
    pub(super) jobs: mpsc::Receiver<Claimed>,
}

impl Backend for JobBackend {
    type Task = Task<Claimed>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Infallible>>> {
        let claimed = ready!(self.jobs.poll_recv(cx));
        if claimed.is_none()
            && let Err(error) = worker.stop()
        {
            // A worker whose backend has ended waits for its stop all the same (apalis-core 1.0).
            tracing::debug!(%error, "the worker was stopped before");
        }
        Poll::Ready(claimed.map(|claimed| {
            let id = TaskId::from_string(&claimed.job.id);
            let attempt = claimed.job.attempt as usize;
            Ok(TaskBuilder::new(claimed).task_id(id).attempt(attempt).build())
        }))
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for JobBackend {
    type Args = Claimed;
    type Id = String;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}
