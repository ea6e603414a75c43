//! Gathers settlements: while one batch is on its way to the queue, the next comes together. No timer.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{Queue, Settlement};
use crate::backoff::Backoff;

/// Settlements in one batch at the most: more makes one script long and others wait.
const BATCH: usize = 100;

/// Bytes of outcomes in one batch at the most, unless a single one has more.
const BATCH_BYTES: usize = 4 << 20;

/// Hands settlements to the task that [`run`]s.
#[derive(Clone)]
pub(super) struct Settler(mpsc::Sender<(Settlement, oneshot::Sender<bool>)>);

/// What a [`Settler`] hands over.
pub(super) type Settlements = mpsc::Receiver<(Settlement, oneshot::Sender<bool>)>;

pub(super) fn channel() -> (Settler, Settlements) {
    let (sender, receiver) = mpsc::channel(BATCH);
    (Settler(sender), receiver)
}

impl Settler {
    /// Settles one job; `false` when its lease was lost, and another may run it.
    pub(super) async fn settle(&self, settlement: Settlement) -> bool {
        let (done, settled) = oneshot::channel();
        self.0.send((settlement, done)).await.is_ok() && settled.await.unwrap_or(false)
    }
}

/// Settles until all [`Settler`]s are gone.
pub(super) async fn run(queue: Arc<dyn Queue>, mut settlements: Settlements) {
    let mut waiting = Vec::with_capacity(BATCH);
    while settlements.recv_many(&mut waiting, BATCH).await > 0 {
        while !waiting.is_empty() {
            let (batch, answers): (Vec<_>, Vec<_>) = waiting.drain(..within_bytes(&waiting)).unzip();
            let settled = settle(&*queue, &batch).await;
            for ((settlement, answer), settled) in batch.iter().zip(answers).zip(settled) {
                if answer.send(settled).is_err() {
                    tracing::debug!(job = settlement.id, "nobody waits for this settlement any more");
                }
            }
        }
    }
}

/// How many go together, so that large outcomes do not make one step long.
fn within_bytes(waiting: &[(Settlement, oneshot::Sender<bool>)]) -> usize {
    let mut bytes = 0;
    let fits = |(settlement, _): &&(Settlement, _)| {
        bytes += settlement.outcome.as_ref().map_or(0, |outcome| outcome.profile.get().len());
        bytes <= BATCH_BYTES
    };
    waiting.iter().take_while(fits).count().max(1)
}

/// Settles one batch, however long the queue is away: the effects have happened already.
async fn settle(queue: &dyn Queue, batch: &[Settlement]) -> Vec<bool> {
    let mut backoff = Backoff::default();
    loop {
        match queue.settle(batch).await {
            // After an error the batch may have been settled all the same: then the leases are gone, rightly.
            Ok(settled) if backoff.is_fresh() => return settled,
            Ok(settled) => return vec![true; settled.len()],
            Err(error) => {
                let pause = backoff.next();
                tracing::warn!(queue = queue.name(), %error, ?pause, "cannot settle jobs, trying again");
                tokio::time::sleep(pause).await;
            }
        }
    }
}
