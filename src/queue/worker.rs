//! An apalis worker on a queue: claims as many jobs as there are free slots, keeps their leases, runs them, and
//! settles them.

use std::{sync::Arc, time::Duration};

use apalis_core::{
    monitor::Monitor,
    worker::{builder::WorkerBuilder, ext::parallelize::ParallelizeExt},
};
use futures_util::FutureExt;
use rand::RngExt;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    Claim, Job, Lease, Options, Queue, QueueError, Room, Settled, Settlement, Verdict,
    backend::{Claimed, JobBackend},
    handler::{Handled, Handler},
    held::Held,
    keep::keep,
    new_lease,
    settler::{self, Settler},
    slots::Slots,
};
use crate::{backoff::Backoff, budget::Budget, tasks::Tasks};

/// The most jobs in one claim.
pub(super) const BATCH: usize = 100;

/// One in this many jobs is the newest waiting, so that nobody waits behind everything that another user has asked for.
const ONE_IN: usize = 8;

/// An idle queue is woken; in case a wake-up is lost, we look at it after about this long anyway.
const IDLE_LOOK: Duration = Duration::from_secs(5);

/// What all queues of a process share.
#[derive(Clone)]
pub struct Process {
    /// What runs in the background.
    pub tasks: Tasks,
    /// Once cancelled, nothing more is claimed.
    pub stop: CancellationToken,
    /// Once cancelled, work in the background ends: leases are no longer renewed, and nothing is listened to.
    pub end: CancellationToken,
    /// Shared by batches of jobs; a suspect holds it alone.
    gate: Arc<RwLock<()>>,
    /// The bytes of the data of claimed jobs.
    data: Budget,
}

/// A job's pass through the gate.
pub(super) enum Pass {
    Shared { _guard: OwnedRwLockReadGuard<()> },
    Alone { _guard: OwnedRwLockWriteGuard<()> },
}

impl Process {
    /// A process whose claimed jobs have as much data as `config` allows.
    #[must_use]
    pub fn new(config: &crate::config::Queue) -> Self {
        Self {
            tasks: Tasks::default(),
            stop: CancellationToken::new(),
            end: CancellationToken::new(),
            gate: Arc::default(),
            data: Budget::new(config.data_bytes()),
        }
    }

    async fn pass(&self, alone: bool) -> Arc<Pass> {
        let gate = Arc::clone(&self.gate);
        Arc::new(if alone {
            Pass::Alone { _guard: gate.write_owned().await }
        } else {
            Pass::Shared { _guard: gate.read_owned().await }
        })
    }
}

/// One queue, and what this process holds of it.
pub struct Consumer {
    queue: Arc<dyn Queue>,
    handler: Arc<dyn Handler>,
    held: Arc<Held>,
    slots: Arc<Slots>,
    settler: Settler,
    claim_bytes: usize,
    process: Process,
}

impl Consumer {
    /// Starts the tasks that settle jobs and keep leases; the one ends with the consumer, the other at the process's `end`.
    #[must_use]
    pub fn start(
        queue: Arc<dyn Queue>,
        handler: Arc<dyn Handler>,
        config: &crate::config::Queue,
        process: &Process,
    ) -> Arc<Self> {
        let (settler, settlements) = settler::channel();
        let held = Arc::new(Held::default());
        process
            .tasks
            .spawn("settle jobs", settler::run(Arc::clone(&queue), Arc::clone(&handler), settlements));
        let keeping = keep(Arc::clone(&queue), Arc::clone(&held), config.lease);
        process.tasks.spawn("keep leases", process.end.clone().run_until_cancelled_owned(keeping).map(drop));
        let slots = Slots::new(config.concurrency, config.claim_bytes);
        let claim_bytes = config.claim_bytes;
        Arc::new(Self { queue, handler, held, slots, settler, claim_bytes, process: process.clone() })
    }

    /// Registers a worker for this queue that claims until the process's `stop`.
    #[must_use]
    pub fn register(self: Arc<Self>, monitor: Monitor) -> Monitor {
        monitor.register(move |_| {
            let (sender, jobs) = mpsc::channel(BATCH);
            self.process.tasks.spawn("claim jobs", claim_all(Arc::clone(&self), sender));
            let consumer = Arc::clone(&self);
            let name = format!("{}:{}", self.queue.layout(), self.queue.name());
            WorkerBuilder::new(name).backend(JobBackend { jobs }).parallelize(tokio::spawn).build(
                move |claimed: Claimed| {
                    let consumer = Arc::clone(&consumer);
                    async move { consumer.run(claimed).await }
                },
            )
        })
    }

    async fn run(&self, claimed: Claimed) {
        let Claimed { job, slot, _holding, _pass, _share } = claimed;
        let Handled { verdict, outcome, report, share } = self.handler.handle(&job).await;
        let (id, lease) = (job.id.clone(), Lease::clone(&job.lease));
        let settlement = Settlement { id, lease, verdict, options: job.options, outcome };
        let settled = self.settler.settle(settlement, slot).await;
        // The outcome is on its way, and no longer in memory.
        drop(share);
        self.handler.ended(&settled, &job, report);
    }

    /// Gives back every job that is still held, for another process to run.
    ///
    /// # Errors
    /// When the queue is not available; the leases then expire.
    pub async fn release(&self) -> Result<usize, QueueError> {
        let release = |(id, lease)| Settlement {
            id,
            lease,
            verdict: Verdict::Release,
            options: Options::default(),
            outcome: None,
        };
        let all: Vec<_> = self.held.all().into_iter().map(release).collect();
        let mut released = 0;
        for batch in all.chunks(BATCH) {
            let ends = self.queue.settle(batch).await?;
            released += ends.iter().filter(|end| **end != Settled::Lost).count();
        }
        Ok(released)
    }

    /// Claims; `None` after an error and a pause. The next call takes the same lease, so that no answer is lost.
    async fn claim(&self, lease: &Lease, room: Room, backoff: &mut Backoff) -> Option<Claim> {
        match self.queue.claim(lease, room).await {
            Ok(claim) => {
                if !backoff.is_fresh() {
                    tracing::info!(
                        queue = self.queue.name(),
                        layout = self.queue.layout(),
                        "claiming jobs again"
                    );
                    *backoff = Backoff::default();
                }
                Some(claim)
            }
            Err(error) => {
                let (queue, layout) = (self.queue.name(), self.queue.layout());
                if backoff.is_fresh() {
                    tracing::warn!(queue, layout, %error, "cannot claim jobs, trying again");
                } else {
                    tracing::debug!(queue, layout, %error, "still cannot claim jobs");
                }
                let pause = backoff.next();
                tokio::time::sleep(pause).await;
                None
            }
        }
    }

    /// Waits until there may be something to claim.
    async fn idle(&self, next_due: Option<Duration>) {
        let look = IDLE_LOOK.mul_f64(rand::rng().random_range(0.8..1.2));
        // If nothing wakes us in time, we look anyway.
        tokio::time::timeout(next_due.unwrap_or(look).min(look), self.queue.woken()).await.ok();
    }
}

/// Says that a queue was paused, or that it goes on.
fn told_of(queue: &dyn Queue, paused: bool) {
    let layout = queue.layout();
    let queue = queue.name();
    if paused {
        tracing::warn!(
            queue,
            layout,
            "the queue is paused: its jobs wait until it is resumed, with queue.resume()"
        );
    } else {
        tracing::info!(queue, layout, "the queue is no longer paused");
    }
}

/// Claims into the free slots until the process stops. A suspect, which may have killed two processes, waits until
/// nothing else runs, and nothing else is claimed until it has ended: so no job is blamed for another's crash. One
/// crash does not make a suspect, or else everything that a killed process ran would run one by one.
async fn claim_all(consumer: Arc<Consumer>, jobs: mpsc::Sender<Claimed>) {
    let (queue, stop) = (&consumer.queue, &consumer.process.stop);
    let (mut lease, mut backoff, mut alone, mut share) = (new_lease(), Backoff::default(), false, 0);
    // Whether the last claim was full.
    let mut backlog = false;
    let mut paused = false;
    let in_order = consumer.handler.in_order(queue.name());
    while !stop.is_cancelled() {
        let max = if alone { 1 } else { BATCH };
        // The handler comes last, since the others can take long.
        let ready = async {
            (
                consumer.slots.room(backlog).await,
                consumer.process.pass(alone).await,
                consumer.process.data.take(consumer.claim_bytes).await,
                consumer.handler.ready().await,
            )
        };
        let Some((free, pass, mut data, most)) = stop.run_until_cancelled(ready).await else { return };
        let max = max.min(free).min(most);
        let owed = if alone || in_order { 0 } else { share + max };
        let room = Room { jobs: max, newest: owed / ONE_IN, alone };
        let Some(claim) = consumer.claim(&lease, room, &mut backoff).await else {
            continue;
        };
        share = owed % ONE_IN;
        lease = new_lease();
        // Suspects come one after another if a process died with many.
        alone = claim.suspect || claim.jobs.iter().any(Job::is_suspect);
        if claim.paused != paused {
            paused = claim.paused;
            told_of(&**queue, paused);
        }
        for id in claim.broken {
            tracing::warn!(queue = queue.name(), job = id, "a job that cannot be read was dropped or buried");
        }
        let idle = claim.jobs.is_empty() && !claim.suspect;
        backlog = claim.jobs.len() == max;
        data.shrink_to(claim.jobs.iter().map(|job| job.data.len()).sum());
        for job in claim.jobs {
            let slot = consumer.slots.take(job.data.len());
            let holding = Arc::clone(&consumer.held).hold(&job);
            let share = data.split(job.data.len());
            let claimed = Claimed { job, slot, _holding: holding, _pass: Arc::clone(&pass), _share: share };
            if jobs.send(claimed).await.is_err() {
                return;
            }
        }
        drop((pass, data));
        if idle && stop.run_until_cancelled(consumer.idle(claim.next_due)).await.is_none() {
            return;
        }
    }
}
