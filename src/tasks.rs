//! Background tasks that are awaited, and whose crashes are noticed.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The background tasks of one running service.
#[derive(Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    crashed: CancellationToken,
}

impl Tasks {
    /// Starts a task.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let crashed = self.crashed.clone();
        self.tracker.spawn(AssertUnwindSafe(task).catch_unwind().map(move |ended| {
            if ended.is_err() {
                tracing::error!(task = name, "a background task crashed");
                crashed.cancel();
            }
        }));
    }

    /// Starts a task whose crash concerns only itself: the log tells it, `crashed` is called, and the service goes on.
    pub fn spawn_isolated(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
        crashed: impl FnOnce() + Send + 'static,
    ) {
        self.tracker.spawn(AssertUnwindSafe(task).catch_unwind().map(move |ended| {
            if ended.is_err() {
                tracing::error!(task = name, "a task crashed; the service goes on");
                crashed();
            }
        }));
    }

    /// Waits until a task has crashed.
    pub async fn crashed(&self) {
        self.crashed.cancelled().await;
    }

    /// Waits until all tasks have ended.
    pub async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// Yields to ready tasks so that they can join the batch, until `count` reaches `enough`, stops growing, or 16 turns have
/// passed. Takes microseconds when nothing else runs, and as long as the other tasks take when something does.
pub async fn let_in(enough: usize, mut count: impl FnMut() -> usize) {
    const TURNS: usize = 16;
    /// Growth has stopped after this many turns without any; fewer prove nothing, since another thread may be slower.
    const IN_VAIN: usize = 4;
    let (mut before, mut in_vain) = (count(), 0);
    for _ in 0..TURNS {
        if before >= enough || in_vain == IN_VAIN {
            return;
        }
        tokio::task::yield_now().await;
        let now = count();
        in_vain = if now > before { 0 } else { in_vain + 1 };
        before = now;
    }
}
