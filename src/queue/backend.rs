//! A queue as an apalis backend: claimed jobs are handed to the worker as they arrive.
//!
//! It never fails: after a queue error, claiming waits, and the worker goes on.

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

use crate::budget::Share;

use super::{Job, held::Holding, slots::Slot, worker::Pass};

/// A claimed job, with its lease, its slot, its pass through the gate, and its share of the memory: dropping this releases them all.
pub struct Claimed {
    pub(super) job: Job,
    pub(super) _holding: Holding,
    pub(super) slot: Slot,
    pub(super) _pass: Arc<Pass>,
    pub(super) _share: Share,
}

/// The receiving end of a claim loop. Once the loop has ended and everything it claimed has been handed over, the
/// worker finishes its running jobs and ends.
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
            // A worker whose backend has ended still waits to be stopped (apalis-core 1.0).
            tracing::debug!(%error, "the worker had been stopped already");
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
