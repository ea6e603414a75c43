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

/// Lets other tasks that are about to add to what is gathered do so first: as long as `count` grows, up to `enough`. Takes
/// some microseconds when nothing else runs.
pub async fn let_in(enough: usize, mut count: impl FnMut() -> usize) {
    /// Another thread may be slower than this one.
    const LOOKS: usize = 4;
    let (mut before, mut looks) = (count(), 0);
    while before < enough && looks < LOOKS {
        tokio::task::yield_now().await;
        let now = count();
        looks = if now > before { 0 } else { looks + 1 };
        before = now;
    }
}
