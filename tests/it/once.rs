//! Idempotency keys: what is pushed twice with one key is one job, in Redis and in the file.

use std::sync::Arc;

use futures_util::future::join_all;
use octavo::{
    config::Queue as Limits,
    embedded::Embedded,
    queue::{
        Connection, Counts, Inbox, Lease, OnceKey, Push, Pushed, Settled, Settlement, Verdict,
        apalis::ApalisQueue, connect, embedded::EmbeddedQueue, log::RedisLog, new_lease,
    },
};
use redis::AsyncCommands;
use tempfile::TempDir;

use crate::support::{PATIENCE, limits, redis_of, room, servers, unique};

const NAME: &str = "Create_Character";
const DATA: &str = r#"{"Name": "Aria"}"#;

/// Two queues of one installation, and what must live as long as they.
struct Fixture {
    inbox: Arc<dyn Inbox>,
    other: Arc<dyn Inbox>,
    _dir: Option<TempDir>,
}

fn own_limits() -> Limits {
    limits(&(unique("it") + ":"), PATIENCE)
}

async fn redis() -> Connection {
    connect(redis_of(&servers(&[]))).await.unwrap().1
}

fn on(name: &'static str, redis: &Connection, limits: &Limits) -> ApalisQueue {
    ApalisQueue::new(name, redis.clone(), limits, &RedisLog::new(redis.clone(), limits))
}

async fn on_redis() -> Fixture {
    let (redis, limits) = (redis().await, own_limits());
    let queue = |name| Arc::new(on(name, &redis, &limits));
    Fixture { inbox: queue(NAME), other: queue("Read_Character"), _dir: None }
}

async fn on_file() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let (file, limits) = (Embedded::open(dir.path()).unwrap(), own_limits());
    let queue = async |name| Arc::new(EmbeddedQueue::open(name, file.clone(), &limits).await.unwrap());
    Fixture { inbox: queue(NAME).await, other: queue("Read_Character").await, _dir: Some(dir) }
}

macro_rules! on_every_inbox {
    ($($test:ident;)*) => {
        mod in_redis { $(#[tokio::test] async fn $test() { super::$test(super::on_redis().await).await; })* }
        mod in_the_file { $(#[tokio::test] async fn $test() { super::$test(super::on_file().await).await; })* }
    };
}

on_every_inbox! {
    a_job_pushed_twice_with_one_key_is_one_job;
    a_key_with_other_data_is_refused_and_adds_nothing;
    a_key_is_of_one_caller;
    a_key_stands_for_its_job_when_that_is_long_done;
    pushes_at_the_same_time_with_one_key_are_one_job;
}

async fn a_job_pushed_twice_with_one_key_is_one_job(Fixture { inbox, other, .. }: Fixture) {
    let id = added(push(&inbox, "ada", "k", NAME, DATA).await);
    assert_eq!(push(&inbox, "ada", "k", NAME, DATA).await, Pushed::Before(id));
    added(push(&inbox, "ada", "another key", NAME, DATA).await);
    assert_eq!(waiting(&inbox).await, 2);
    assert_eq!(waiting(&other).await, 0);
}

async fn a_key_with_other_data_is_refused_and_adds_nothing(Fixture { inbox, other, .. }: Fixture) {
    let id = added(push(&inbox, "ada", "k", NAME, DATA).await);
    assert_eq!(push(&inbox, "ada", "k", NAME, "{}").await, Pushed::KeyTaken);
    assert_eq!(push(&other, "ada", "k", "Read_Character", DATA).await, Pushed::KeyTaken);
    assert_eq!(push(&inbox, "ada", "k", NAME, DATA).await, Pushed::Before(id));
    assert_eq!((waiting(&inbox).await, waiting(&other).await), (1, 0));
}

async fn a_key_is_of_one_caller(Fixture { inbox, .. }: Fixture) {
    let ada = added(push(&inbox, "ada", "k", NAME, DATA).await);
    let bob = added(push(&inbox, "bob", "k", NAME, "{}").await);
    assert_ne!(ada, bob);
    assert_eq!(waiting(&inbox).await, 2);
}

async fn a_key_stands_for_its_job_when_that_is_long_done(Fixture { inbox, .. }: Fixture) {
    let id = added(push(&inbox, "ada", "k", NAME, DATA).await);
    let lease = new_lease();
    let job = inbox.claim(&lease, room(1, true)).await.unwrap().jobs.remove(0);
    assert_eq!((&job.id, job.data.as_slice()), (&id, DATA.as_bytes()));
    let (options, lease) = (job.options, Lease::clone(&lease));
    let done = Settlement { id: job.id, lease, verdict: Verdict::Done, options, outcome: None };
    assert_eq!(inbox.settle(&[done]).await.unwrap(), [Settled::Quietly]);
    inbox.rescue().await.unwrap();
    assert_eq!(push(&inbox, "ada", "k", NAME, DATA).await, Pushed::Before(id));
    assert_eq!(inbox.counts().await.unwrap(), Counts::default());
}

async fn pushes_at_the_same_time_with_one_key_are_one_job(Fixture { inbox, .. }: Fixture) {
    let pushes = (0..32).map(|_| {
        let inbox = Arc::clone(&inbox);
        tokio::spawn(async move { push(&inbox, "ada", "k", NAME, DATA).await })
    });
    let answers: Vec<_> = join_all(pushes).await.into_iter().map(Result::unwrap).collect();
    let first: Vec<_> = answers.iter().filter(|pushed| matches!(pushed, Pushed::Added { .. })).collect();
    let [Pushed::Added { id, .. }] = first[..] else { panic!("{first:?}") };
    let again = answers.iter().filter(|pushed| **pushed == Pushed::Before(id.clone())).count();
    assert_eq!((again, waiting(&inbox).await), (31, 1));
}

#[tokio::test]
async fn a_key_in_redis_is_forgotten_after_a_day_and_says_nothing_of_its_user() {
    let (mut redis, limits) = (redis().await, own_limits());
    let inbox: Arc<dyn Inbox> = Arc::new(on(NAME, &redis, &limits));
    push(&inbox, "ada", "order-7", NAME, DATA).await;
    let keys: Vec<String> = redis.keys(format!("{}octavo:key:*", limits.prefix)).await.unwrap();
    assert_eq!(keys.len(), 1);
    assert!(!keys[0].contains("ada") && !keys[0].contains("order-7"), "{keys:?}");
    let seconds: i64 = redis.ttl(&keys[0]).await.unwrap();
    assert!((86_000..=86_400).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn a_key_in_the_file_is_forgotten_after_a_day() {
    let dir = tempfile::tempdir().unwrap();
    let file = Embedded::open(dir.path()).unwrap();
    let queue = EmbeddedQueue::open(NAME, file.clone(), &own_limits()).await.unwrap();
    let inbox: Arc<dyn Inbox> = Arc::new(queue);
    let count = async || {
        let count = "SELECT count(*) FROM idempotency_keys";
        file.transaction(|tx| tx.query_row(count, [], |row| row.get::<_, i64>(0))).await.unwrap()
    };
    let pass = async |milliseconds: i64| {
        let update = "UPDATE idempotency_keys SET expires = expires - ?";
        file.transaction(move |tx| tx.execute(update, [milliseconds])).await.unwrap();
    };
    let id = added(push(&inbox, "ada", "k", NAME, DATA).await);
    pass(86_000_000).await;
    inbox.rescue().await.unwrap();
    assert_eq!(push(&inbox, "ada", "k", NAME, DATA).await, Pushed::Before(id));

    pass(500_000).await;
    let id = added(push(&inbox, "ada", "k", NAME, "{}").await);
    assert_eq!(push(&inbox, "ada", "k", NAME, "{}").await, Pushed::Before(id));
    assert_eq!(count().await, 1);
    pass(86_500_000).await;
    inbox.rescue().await.unwrap();
    assert_eq!(count().await, 0);
}

async fn push(inbox: &Arc<dyn Inbox>, user: &str, key: &str, queue: &str, data: &str) -> Pushed {
    let key = OnceKey::new(user, key, queue, data.as_bytes());
    inbox.push(Push { data: data.into(), key: Some(&key), user: None }).await.unwrap()
}

fn added(pushed: Pushed) -> String {
    let Pushed::Added { id, .. } = pushed else { panic!("{pushed:?}") };
    id
}

async fn waiting(inbox: &Arc<dyn Inbox>) -> u64 {
    inbox.counts().await.unwrap().waiting
}
