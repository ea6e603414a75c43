//! Gathers concurrent requests, so that they go to the server together.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::{character::store::StoreError, tasks};

/// How many requests form a batch, and how many batches run at once.
#[derive(Clone, Copy)]
pub(super) struct Size {
    /// The most requests in one batch.
    pub(super) batch: usize,
    /// The most batches under way: with two, the server works on one while the next is written and the last one is read.
    pub(super) in_flight: usize,
}

/// The batching of writes.
pub(super) const WRITES: Size = Size { batch: 128, in_flight: 2 };

/// The most bytes in a batch, unless a single request has more: MongoDB allows 48 MB for a message, and 16 MB for a command.
const BATCH_BYTES: usize = 4 << 20;

/// Requests made at the same time, or while all batches are under way, go together. There is no timer: before a batch
/// starts, tasks that are ready run first.
pub(super) struct Gather<T, R>(Arc<Shared<T, R>>);

struct Shared<T, R> {
    size: Size,
    queue: Mutex<Queue<T, R>>,
    batch: Box<dyn Fn(Vec<T>) -> BoxFuture<'static, Answers<R>> + Send + Sync>,
    patience: Duration,
}

/// One answer for each request, in the same order.
pub(super) type Answers<R> = Vec<Result<R, StoreError>>;

struct Queue<T, R> {
    waiting: VecDeque<Waiting<T, R>>,
    in_flight: usize,
}

struct Waiting<T, R> {
    item: T,
    bytes: usize,
    answer: Answer<R>,
}

type Answer<R> = oneshot::Sender<Result<R, StoreError>>;

impl<T: Send + 'static, R: Send + 'static> Gather<T, R> {
    /// Gathers requests for `batch` to carry out; a batch that takes longer than `patience` does not hold up the next.
    pub(super) fn new<F>(
        size: Size,
        patience: Duration,
        batch: impl Fn(Vec<T>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Answers<R>> + Send + 'static,
    {
        let queue = Mutex::new(Queue { waiting: VecDeque::new(), in_flight: 0 });
        Self(Arc::new(Shared { size, queue, batch: Box::new(move |items| Box::pin(batch(items))), patience }))
    }

    /// Sends `item`, of about `bytes`, in a batch with others, and returns its own answer. Dropping the future before
    /// the batch goes to the server withdraws the request.
    pub(super) async fn ask(&self, item: T, bytes: usize) -> Result<R, StoreError> {
        let (answer, answered) = oneshot::channel();
        if self.0.add(Waiting { item, bytes, answer }) {
            tokio::spawn(Arc::clone(&self.0).work());
        }
        let mut asked = Asked { shared: &self.0, answered };
        let answered = (&mut asked.answered).await;
        answered.unwrap_or_else(|_| Err(StoreError::Unavailable("the batch was aborted".to_owned())))
    }
}

/// A wait for an answer; when dropped early, it removes from the queue whatever nobody waits for any more.
struct Asked<'a, T, R> {
    shared: &'a Shared<T, R>,
    answered: oneshot::Receiver<Result<R, StoreError>>,
}

impl<T, R> Drop for Asked<'_, T, R> {
    fn drop(&mut self) {
        if !self.answered.is_terminated() {
            self.answered.close();
            self.shared.lock().waiting.retain(|waiting| !waiting.answer.is_closed());
        }
    }
}

impl<T: Send + 'static, R: Send + 'static> Shared<T, R> {
    /// Adds to the queue; returns whether to start another batch worker.
    fn add(&self, waiting: Waiting<T, R>) -> bool {
        let mut queue = self.lock();
        queue.waiting.push_back(waiting);
        let starts = queue.in_flight < self.size.in_flight;
        queue.in_flight += usize::from(starts);
        starts
    }

    /// Takes one batch after another, until nothing waits.
    async fn work(self: Arc<Self>) {
        loop {
            tasks::let_in(self.size.batch, || self.lock().waiting.len()).await;
            let Some((items, answers)) = self.next() else { return };
            let shared = Arc::clone(&self);
            // In a task of its own, so that a panic ends nothing else, and a driver future is never dropped halfway
            // (RUST-937).
            let running = tokio::spawn(async move {
                let results = (shared.batch)(items).await;
                for (answer, result) in answers.into_iter().zip(results) {
                    if answer.send(result).is_err() {
                        tracing::debug!("nobody waits for this answer from the store any more");
                    }
                }
            });
            match tokio::time::timeout(self.patience, running).await {
                Ok(Ok(())) => {}
                Ok(Err(panic)) => tracing::error!(%panic, "a batch was aborted by a panic"),
                Err(_) => tracing::warn!(
                    "MongoDB has not answered a batch in time; the next batches are sent without waiting"
                ),
            }
        }
    }

    fn next(&self) -> Option<(Vec<T>, Vec<Answer<R>>)> {
        let mut queue = self.lock();
        let mut bytes = 0;
        let fits = |waiting: &&Waiting<T, R>| {
            bytes += waiting.bytes;
            bytes <= BATCH_BYTES
        };
        let most = self.size.batch.min(queue.waiting.len());
        let count = queue.waiting.iter().take(most).take_while(fits).count().max(1).min(most);
        if count == 0 {
            queue.in_flight -= 1;
            return None;
        }
        Some(queue.waiting.drain(..count).map(|Waiting { item, answer, .. }| (item, answer)).unzip())
    }
}

impl<T, R> Shared<T, R> {
    fn lock(&self) -> MutexGuard<'_, Queue<T, R>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, R> Clone for Gather<T, R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    const PATIENCE: Duration = Duration::from_mins(1);

    /// Batches of numbers, which end when `go` allows; returns the sizes of the batches too.
    fn gather(go: &Arc<Semaphore>, patience: Duration) -> (Gather<usize, usize>, Arc<Mutex<Vec<usize>>>) {
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let (go, seen) = (Arc::clone(go), Arc::clone(&sizes));
        let gather = Gather::new(WRITES, patience, move |items: Vec<usize>| {
            seen.lock().unwrap().push(items.len());
            let go = Arc::clone(&go);
            async move {
                go.acquire().await.unwrap().forget();
                assert!(!items.contains(&usize::MAX), "a panic in a batch");
                items.into_iter().map(Ok).collect()
            }
        });
        (gather, sizes)
    }

    #[tokio::test]
    async fn what_is_asked_for_while_batches_are_under_way_goes_together() {
        let go = Arc::new(Semaphore::new(0));
        let (gather, sizes) = gather(&go, PATIENCE);
        let early: Vec<_> = (0..WRITES.in_flight)
            .map(|n| {
                let gather = gather.clone();
                tokio::spawn(async move { gather.ask(n, 1).await })
            })
            .collect();
        while sizes.lock().unwrap().is_empty() || !gather.0.lock().waiting.is_empty() {
            tokio::task::yield_now().await;
        }
        go.add_permits(100);
        let many = join_all((0..WRITES.batch + 10).map(|n| gather.ask(n, 1))).await;
        for (n, answer) in many.into_iter().enumerate() {
            assert_eq!(answer.unwrap(), n);
        }
        for (n, answer) in early.into_iter().enumerate() {
            assert_eq!(answer.await.unwrap().unwrap(), n);
        }
        assert!(sizes.lock().unwrap().len() <= 2 * WRITES.in_flight, "{sizes:?}");
        assert!(sizes.lock().unwrap().iter().all(|size| *size <= WRITES.batch), "{sizes:?}");
        while gather.0.lock().in_flight > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_leaves_takes_along_what_has_not_gone_to_the_server() {
        let go = Arc::new(Semaphore::new(0));
        let (gather, sizes) = gather(&go, PATIENCE);
        for _ in 0..3 {
            let all = join_all((0..4 * WRITES.batch).map(|n| gather.ask(n, 1)));
            tokio::time::timeout(Duration::from_millis(20), all).await.unwrap_err();
            assert_eq!(gather.0.lock().waiting.len(), 0);
        }
        go.add_permits(100);
        assert_eq!(gather.ask(7, 1).await.unwrap(), 7);
        assert_eq!(sizes.lock().unwrap().iter().sum::<usize>(), WRITES.in_flight * WRITES.batch + 1);
    }

    #[tokio::test]
    async fn what_is_large_goes_in_batches_of_its_own() {
        let (gather, sizes) = gather(&Arc::new(Semaphore::new(100)), PATIENCE);
        let large = [BATCH_BYTES * 2, 1, BATCH_BYTES, BATCH_BYTES / 2, BATCH_BYTES / 2, 1];
        join_all(large.iter().map(|bytes| gather.ask(0, *bytes))).await;
        assert_eq!(*sizes.lock().unwrap(), [1, 1, 1, 2, 1]);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_for_its_batch_only() {
        let (gather, _) = gather(&Arc::new(Semaphore::new(100)), PATIENCE);
        for _ in 0..2 * WRITES.in_flight {
            let broken = join_all([1, usize::MAX].map(|n| gather.ask(n, 1))).await;
            for answer in broken {
                assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
            }
        }
        assert_eq!(gather.ask(7, 1).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_batch_without_an_answer_does_not_hold_up_the_next() {
        let go = Arc::new(Semaphore::new(0));
        let (gather, sizes) = gather(&go, Duration::from_millis(1));
        let silent: Vec<_> = (0..3 * WRITES.in_flight)
            .map(|n| {
                let gather = gather.clone();
                tokio::spawn(async move { gather.ask(n, BATCH_BYTES).await })
            })
            .collect();
        while sizes.lock().unwrap().len() < 3 * WRITES.in_flight {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        go.add_permits(100);
        for (n, answer) in silent.into_iter().enumerate() {
            assert_eq!(answer.await.unwrap().unwrap(), n, "it is answered when the batch ends after all");
        }
    }
}
