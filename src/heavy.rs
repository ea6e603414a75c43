//! Work on large data that would hold up everybody else on a thread.

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::Semaphore,
    task::block_in_place,
};

/// From here on, parsing takes long enough for others to notice: 256 kB take about a millisecond at the worst.
const LARGE: usize = 256 << 10;

/// One at a time in the process, so that the other cores are left to everybody else.
static TURN: Semaphore = Semaphore::const_new(1);

/// Does `work`, which goes over `bytes` of data once or twice; if those are many, beside the other tasks of this thread.
pub(crate) async fn beside<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if bytes < LARGE {
        return work();
    }
    let _turn = TURN.acquire().await;
    // Only tests have a single thread, and no other to move the tasks to.
    let alone = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
    if alone { work() } else { block_in_place(work) }
}
