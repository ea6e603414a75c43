//! Keeps the leases that this process holds in one queue, and takes back those that others have lost.

use std::{sync::Arc, time::Duration};

use tokio::time::MissedTickBehavior;

use super::{Queue, QueueError, held::Held};

/// How often, at least, leases are renewed and expired ones looked for.
const RESCUE_EVERY: Duration = Duration::from_secs(2);

/// The most leases in one step.
const BATCH: usize = 500;

/// Renews what is held, and then rescues what others have lost, so that no process rescues its own. After an outage of
/// the queue, the others get one round to renew theirs first: nobody has died of it.
pub(super) async fn keep(queue: Arc<dyn Queue>, held: Arc<Held>, lease: Duration) {
    let mut tick = tokio::time::interval(RESCUE_EVERY.min(lease / 3));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut was_away, mut warned) = (false, false);
    loop {
        tick.tick().await;
        let kept = async {
            renew_all(&*queue, &held).await?;
            if was_away { queue.ping().await } else { rescue_all(&*queue).await }
        };
        was_away = match kept.await {
            Ok(()) => {
                // Warn again only after a whole round: the answer to a ping is not enough.
                warned &= was_away;
                false
            }
            Err(error) => {
                let (queue, layout) = (queue.name(), queue.layout());
                if std::mem::replace(&mut warned, true) {
                    tracing::debug!(queue, layout, %error, "still cannot keep leases");
                } else {
                    tracing::warn!(queue, layout, %error, "cannot keep leases, trying again");
                }
                true
            }
        };
    }
}

async fn renew_all(queue: &dyn Queue, held: &Held) -> Result<(), QueueError> {
    for batch in held.all().chunks(BATCH) {
        for ((id, _), renewed) in batch.iter().zip(queue.renew(batch).await?) {
            if !renewed {
                tracing::debug!(queue = queue.name(), job = id, "lease lost, or just settled");
            }
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
