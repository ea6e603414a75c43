//! An apalis worker on a queue: claims as many jobs as there are free slots, keeps their leases, runs them, and
//! settles them.

use std::{sync::Arc, time::Duration};

use apalis_core::{
    monitor::Monitor,
    worker::{builder::WorkerBuilder, ext::parallelize::ParallelizeExt},
};
use rand::RngExt;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Claim, Job, Lease, Options, Queue, QueueError, Settlement, Verdict,
    backend::{Claimed, JobBackend},
    held::Held,
    new_lease,
    settler::{self, Settler},
};
use crate::backoff::Backoff;

/// Jobs in one claim at the most.
const BATCH: usize = 100;

/// An idle queue is woken; should a wake be lost, it is looked at after about this time.
const IDLE_LOOK: Duration = Duration::from_secs(5);

/// How often leases that have run out are looked for.
const RESCUE_EVERY: Duration = Duration::from_secs(2);

/// Runs one claimed job to its end.
#[async_trait::async_trait]
pub trait Handler: Send + Sync + 'static {
    /// What becomes of `job`. Called once for each claim; never fails, whatever the job is.
    async fn handle(&self, job: &Job) -> Handled;

    /// Hears that the job was settled; `false` when its lease had been lost meanwhile.
    fn settled(&self, settled: bool, job: &Job, handled: Report);
}

/// What a [`Handler`] made of a job.
pub struct Handled {
    /// What becomes of it.
    pub verdict: Verdict,
    /// What its user is told.
    pub outcome: Option<crate::outcome::Outcome>,
    /// What is told of it afterwards.
    pub report: Report,
}

/// What is told of a job when it is settled.
#[derive(Debug)]
pub struct Report {
    /// The user, when known.
    pub user: Option<String>,
    /// In a word: `done`, `refused`, `retry`, `buried`.
    pub outcome: &'static str,
    /// Why, when it was not done.
    pub reason: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// One queue and what this process holds of it.
pub struct Consumer {
    queue: Arc<dyn Queue>,
    held: Arc<Held>,
    slots: Arc<Semaphore>,
    settler: Settler,
}

impl Consumer {
    /// Starts the tasks that settle jobs and keep leases, in `tasks`; they end with the consumer, and with `end`.
    #[must_use]
    pub fn start(
        queue: Arc<dyn Queue>,
        config: &crate::config::Queue,
        tasks: &TaskTracker,
        end: &CancellationToken,
    ) -> Arc<Self> {
        let (settler, settlements) = settler::channel();
        let held = Arc::new(Held::default());
        tasks.spawn(settler::run(Arc::clone(&queue), settlements));
        let keeping = keep(Arc::clone(&queue), Arc::clone(&held), config.lease);
        tasks.spawn(end.clone().run_until_cancelled_owned(keeping));
        let slots = Arc::new(Semaphore::new(config.concurrency));
        Arc::new(Self { queue, held, slots, settler })
    }

    /// Registers a worker for this queue that claims until `stop`.
    #[must_use]
    pub fn register(
        self: Arc<Self>,
        monitor: Monitor,
        handler: Arc<dyn Handler>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Monitor {
        let (tasks, stop) = (tasks.clone(), stop.clone());
        monitor.register(move |_| {
            let (sender, jobs) = mpsc::channel(BATCH);
            tasks.spawn(claim_all(Arc::clone(&self), sender, stop.clone()));
            let (consumer, handler) = (Arc::clone(&self), Arc::clone(&handler));
            WorkerBuilder::new(format!("{}:{}", self.queue.layout(), self.queue.name()))
                .backend(JobBackend { jobs })
                .parallelize(tokio::spawn)
                .build(move |claimed: Claimed| {
                    let (consumer, handler) = (Arc::clone(&consumer), Arc::clone(&handler));
                    async move { consumer.run(claimed, &*handler).await }
                })
        })
    }

    async fn run(&self, claimed: Claimed, handler: &dyn Handler) {
        let job = &claimed.job;
        let Handled { verdict, outcome, report } = handler.handle(job).await;
        let (id, lease) = (job.id.clone(), Lease::clone(&job.lease));
        let settled =
            self.settler.settle(Settlement { id, lease, verdict, options: job.options, outcome }).await;
        handler.settled(settled, job, report);
    }

    /// Gives back every job that is still held, for another process to run.
    ///
    /// # Errors
    /// When the queue is not available; the leases then run out.
    pub async fn release(&self) -> Result<usize, QueueError> {
        let release = |(id, lease)| Settlement {
            id,
            lease,
            verdict: Verdict::Release,
            options: Options::default(),
            outcome: None,
        };
        let batch: Vec<_> = self.held.all().into_iter().map(release).collect();
        Ok(self.queue.settle(&batch).await?.into_iter().filter(|released| *released).count())
    }

    /// Claims into the free slots; an error makes it wait, with the same lease, so that no answer is lost.
    async fn claim(&self, lease: &Lease, max: usize, backoff: &mut Backoff) -> Option<Claim> {
        match self.queue.claim(lease, max).await {
            Ok(claim) => {
                if !backoff.is_fresh() {
                    tracing::info!(queue = self.queue.name(), "claims jobs again");
                    *backoff = Backoff::default();
                }
                Some(claim)
            }
            Err(error) => {
                let pause = backoff.next();
                tracing::warn!(queue = self.queue.name(), %error, ?pause, "cannot claim jobs, trying again");
                tokio::time::sleep(pause).await;
                None
            }
        }
    }
}

async fn claim_all(consumer: Arc<Consumer>, jobs: mpsc::Sender<Claimed>, stop: CancellationToken) {
    let (mut lease, mut backoff) = (new_lease(), Backoff::default());
    loop {
        let slots = Arc::clone(&consumer.slots);
        let Some(Ok(mut slot)) = stop.run_until_cancelled(slots.acquire_owned()).await else { return };
        let more = consumer.slots.available_permits().min(BATCH - 1);
        if let Ok(more) = Arc::clone(&consumer.slots).try_acquire_many_owned(u32::try_from(more).unwrap_or(0))
        {
            slot.merge(more);
        }
        let Some(claim) = consumer.claim(&lease, slot.num_permits(), &mut backoff).await else {
            if stop.is_cancelled() {
                return;
            }
            continue;
        };
        lease = new_lease();
        for id in claim.broken {
            tracing::warn!(
                queue = consumer.queue.name(),
                job = id,
                "a job without readable data, dropped or buried"
            );
        }
        let idle = claim.jobs.is_empty();
        for job in claim.jobs {
            let Some(slot) = slot.split(1) else {
                tracing::error!(
                    queue = consumer.queue.name(),
                    job = job.id,
                    "more jobs than asked for; left to its lease"
                );
                continue;
            };
            let holding = Arc::clone(&consumer.held).hold(&job);
            if jobs.send(Claimed { job, _holding: holding, _slot: slot }).await.is_err() {
                return;
            }
        }
        drop(slot);
        if idle {
            let look = claim
                .next_due
                .unwrap_or(Duration::MAX)
                .min(IDLE_LOOK.mul_f64(rand::rng().random_range(0.8..1.2)));
            let woken = tokio::time::timeout(look, consumer.queue.woken());
            if stop.run_until_cancelled(woken).await.is_none() {
                return;
            }
        }
    }
}

/// Renews what is held at a third of the lease, and rescues what others have lost.
async fn keep(queue: Arc<dyn Queue>, held: Arc<Held>, lease: Duration) {
    let mut renew = tokio::time::interval(lease / 3);
    let mut rescue = tokio::time::interval(RESCUE_EVERY);
    loop {
        let done = tokio::select! {
            _ = renew.tick() => renew_all(&*queue, &held).await,
            _ = rescue.tick() => rescue_all(&*queue).await,
        };
        if let Err(error) = done {
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
