//! Gathers settlements: while one batch is on its way to the queue, the next one forms. No timer.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{Queue, Settled, Settlement, handler::Handler, slots::Slot};
use crate::{backoff::Backoff, tasks};

/// The most settlements in one batch: more would make one script long, and others wait.
const BATCH: usize = 100;

/// The longest that a user waits for an outcome because the queue does not answer.
const LATE: Duration = Duration::from_millis(250);

/// The most bytes of outcomes in one batch, unless a single one has more.
const BATCH_BYTES: usize = 4 << 20;

/// Hands settlements to the task that [`run`]s.
#[derive(Clone)]
pub(super) struct Settler(mpsc::Sender<Waiting>);

/// What a [`Settler`] hands over.
pub(super) type Settlements = mpsc::Receiver<Waiting>;

/// A settlement, the slot of its job, and where to send the answer.
pub(super) struct Waiting {
    settlement: Settlement,
    slot: Slot,
    answer: oneshot::Sender<Settled>,
}

pub(super) fn channel() -> (Settler, Settlements) {
    let (sender, receiver) = mpsc::channel(BATCH);
    (Settler(sender), receiver)
}

impl Settler {
    /// Settles one job, and frees its slot.
    pub(super) async fn settle(&self, settlement: Settlement, slot: Slot) -> Settled {
        let (answer, settled) = oneshot::channel();
        if self.0.send(Waiting { settlement, slot, answer }).await.is_err() {
            return Settled::Lost;
        }
        settled.await.unwrap_or(Settled::Lost)
    }
}

/// Settles until all [`Settler`]s are gone; `handler` is told of each batch in the order of the log.
pub(super) async fn run(queue: Arc<dyn Queue>, handler: Arc<dyn Handler>, mut settlements: Settlements) {
    let mut waiting = Vec::with_capacity(BATCH);
    while settlements.recv_many(&mut waiting, 1).await > 0 {
        tasks::let_in(BATCH, || settlements.len()).await;
        while waiting.len() < BATCH
            && let Ok(more) = settlements.try_recv()
        {
            waiting.push(more);
        }
        while !waiting.is_empty() {
            let (batch, slots, answers) = split(waiting.drain(..within_bytes(&waiting)));
            let mut settling = pin!(settle(&*queue, &batch));
            let settled = match timeout(LATE, &mut settling).await {
                Ok(settled) => settled,
                Err(_) => {
                    late(&*handler, queue.name(), &batch, &mut waiting, &mut settlements, settling).await
                }
            };
            // All at once, so that the next claim can fill them together.
            drop(slots);
            for ((settlement, answer), settled) in batch.iter().zip(answers).zip(settled) {
                handler.settled(queue.name(), settlement, &settled);
                if answer.send(settled).is_err() {
                    tracing::debug!(job = settlement.id, "nobody waits for this settlement any more");
                }
            }
        }
    }
}

type Batch = (Vec<Settlement>, Option<Slot>, Vec<oneshot::Sender<Settled>>);

fn split(waiting: impl ExactSizeIterator<Item = Waiting>) -> Batch {
    let (mut batch, mut answers) = (Vec::with_capacity(waiting.len()), Vec::with_capacity(waiting.len()));
    let mut slots: Option<Slot> = None;
    for Waiting { settlement, slot, answer } in waiting {
        batch.push(settlement);
        answers.push(answer);
        match &mut slots {
            Some(slots) => slots.merge(slot),
            None => slots = Some(slot),
        }
    }
    (batch, slots, answers)
}

/// Goes on settling while the queue is away, and tells `handler` of everything that arrives meanwhile.
async fn late(
    handler: &dyn Handler,
    queue: &'static str,
    batch: &[Settlement],
    waiting: &mut Vec<Waiting>,
    settlements: &mut Settlements,
    mut settling: Pin<&mut impl Future<Output = Vec<Settled>>>,
) -> Vec<Settled> {
    for settlement in batch.iter().chain(waiting.iter().map(|waiting| &waiting.settlement)) {
        handler.late(queue, settlement);
    }
    loop {
        tokio::select! {
            settled = &mut settling => return settled,
            Some(more) = settlements.recv() => {
                handler.late(queue, &more.settlement);
                waiting.push(more);
            }
        }
    }
}

/// How many to settle together, so that large outcomes do not make one step long.
fn within_bytes(waiting: &[Waiting]) -> usize {
    let mut bytes = 0;
    let fits = |Waiting { settlement, .. }: &&Waiting| {
        bytes += settlement.outcome.as_ref().map_or(0, |outcome| outcome.profile.get().len());
        bytes <= BATCH_BYTES
    };
    waiting.iter().take(BATCH).take_while(fits).count().max(1)
}

/// Settles one batch, however long the queue is away: the effects have already happened.
async fn settle(queue: &dyn Queue, batch: &[Settlement]) -> Vec<Settled> {
    let mut backoff = Backoff::default();
    loop {
        match queue.settle(batch).await {
            Ok(settled) if backoff.is_fresh() => return settled,
            // The batch may have been settled despite an error: then the leases are rightly gone.
            Ok(settled) => {
                let sure = |settled| if settled == Settled::Lost { Settled::Unsure } else { settled };
                return settled.into_iter().map(sure).collect();
            }
            Err(error) => {
                let pause = backoff.next();
                tracing::warn!(queue = queue.name(), %error, ?pause, "cannot settle jobs, trying again");
                tokio::time::sleep(pause).await;
            }
        }
    }
}
