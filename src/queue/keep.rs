//! Keeps the leases that this process holds of one queue, and takes back those that others have lost.

use std::{sync::Arc, time::Duration};

use tokio::time::MissedTickBehavior;

use super::{Queue, QueueError, held::Held};

/// How often leases are renewed, and those that have run out are looked for, at least.
const RESCUE_EVERY: Duration = Duration::from_secs(2);

/// Renews what is held, and then rescues what others have lost, so that nobody rescues its own.
pub(super) async fn keep(queue: Arc<dyn Queue>, held: Arc<Held>, lease: Duration) {
    let mut tick = tokio::time::interval(RESCUE_EVERY.min(lease / 3));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let kept = async {
            renew_all(&*queue, &held).await?;
            rescue_all(&*queue).await
        };
        if let Err(error) = kept.await {
            tracing::warn!(queue = queue.name(), %error, "cannot keep leases, trying again");
        }
    }
}

async fn renew_all(queue: &dyn Queue, held: &Held) -> Result<(), QueueError> {
    let all = held.all();
    if all.is_empty() {
        return Ok(());
    }
    for ((id, _), renewed) in all.iter().zip(queue.renew(&all).await?) {
        if !renewed {
            tracing::debug!(queue = queue.name(), job = id, "lease lost, or just settled");
        }
    }
    Ok(())
}

async fn rescue_all(queue: &dyn Queue) -> Result<(), QueueError> {
    let rescued = queue.rescue().await?;
    if rescued > 0 {
        tracing::warn!(queue = queue.name(), rescued, "jobs taken back from a process that died");
    }
    Ok(())
}
