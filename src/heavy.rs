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
    let turn = TURN.acquire().await;
    match Handle::current().runtime_flavor() {
        // Only tests have one, and no other thread to move to.
        RuntimeFlavor::CurrentThread => work(),
        _ => {
            let done = block_in_place(work);
            drop(turn);
            done
        }
    }
}
