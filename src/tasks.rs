//! Tasks in the background, which somebody awaits, and whose crash somebody hears of.

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
                tracing::error!(task = name, "a task in the background crashed");
                crashed.cancel();
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

/// Lets tasks that are ready, and about to add to what is gathered, do so first: while `count` grows, up to `enough`, but for
/// some turns at the most. Takes microseconds when nothing else runs, and what the others take when it does.
pub async fn let_in(enough: usize, mut count: impl FnMut() -> usize) {
    const TURNS: usize = 16;
    /// After so many turns in which nothing came nothing is expected: another thread may be slower than this one.
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
