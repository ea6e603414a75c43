//! Quotas: what one user may put into the queues and leave there, in Redis and in the file.

use std::{sync::Arc, time::Duration};

use octavo::{
    config::{Queue as Config, Quota as Limits},
    embedded::Embedded,
    outcome::Outcome,
    queue::{
        Inbox, Job, Lease, OnceKey, Push, Pushed, Quota, Settled, Settlement, Verdict,
        apalis::ApalisQueue,
        connect,
        embedded::{EmbeddedLetters, EmbeddedQueue},
        letters::{Filter, Letters, Order, RedisLetters},
        log::RedisLog,
        new_lease,
    },
};
use reqwest::StatusCode;
use tempfile::TempDir;

use crate::support::{PATIENCE, Service, create, embedded, limits, redis_of, room, servers, unique};

const NAME: &str = "Create_Character";

struct Fixture {
    inbox: Arc<dyn Inbox>,
    letters: Box<dyn Letters>,
    _dir: Option<TempDir>,
}

fn config(quota: Limits) -> Config {
    Config { quota, ..limits(&(unique("it") + ":"), PATIENCE) }
}

async fn on_redis(quota: Limits) -> Fixture {
    let (_, redis) = connect(redis_of(&servers(&[]))).await.unwrap();
    let config = config(quota);
    let log = RedisLog::new(redis.clone(), &config);
    let queue = Arc::new(ApalisQueue::new(NAME, redis.clone(), &config, &log));
    let letters = Box::new(RedisLetters::new(redis, &[Arc::clone(&queue)], &[]));
    Fixture { inbox: queue, letters, _dir: None }
}

async fn on_file(quota: Limits) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let file = Embedded::open(dir.path()).unwrap();
    let queue = Arc::new(EmbeddedQueue::open(NAME, file.clone(), &config(quota)).await.unwrap());
    let letters = Box::new(EmbeddedLetters::new(file, &[Arc::clone(&queue)]));
    Fixture { inbox: queue, letters, _dir: Some(dir) }
}

macro_rules! on_both {
    ($($test:ident($quota:expr);)*) => {
        mod in_redis { use super::*; $(#[tokio::test] async fn $test() { super::$test(on_redis($quota).await).await; })* }
        mod in_the_file { use super::*; $(#[tokio::test] async fn $test() { super::$test(on_file($quota).await).await; })* }
    };
}

on_both! {
    jobs_that_wait_are_bounded_and_make_room_when_they_end(Limits { jobs_waiting: 3, ..Limits::default() });
    bytes_that_wait_are_bounded(Limits { bytes_waiting: 25, ..Limits::default() });
    jobs_per_second_are_bounded(Limits { jobs_per_second: 1, ..Limits::default() });
    new_idempotency_keys_are_bounded_and_repeats_count_for_nothing(
        Limits { idempotency_keys: 2, jobs_waiting: 3, ..Limits::default() });
    a_driven_letter_is_not_counted_out_twice(Limits { jobs_waiting: 2, ..Limits::default() });
    the_oldest_letters_of_a_user_go_for_newer_ones(Limits { letters: 2, ..Limits::default() });
    letters_of_a_user_are_bounded_by_their_bytes(Limits { letter_bytes: 25, ..Limits::default() });
}

impl Fixture {
    async fn push(&self, user: &str) -> Pushed {
        self.inbox.push(Push { data: b"0123456789".to_vec(), user: Some(user), key: None }).await.unwrap()
    }

    async fn push_once(&self, user: &str, key: &str) -> Pushed {
        let key = OnceKey::new(user, key, NAME, b"{}");
        let push = Push { data: b"0123456789".to_vec(), user: Some(user), key: Some(&key) };
        self.inbox.push(push).await.unwrap()
    }

    async fn add(&self, user: &str) {
        let pushed = self.push(user).await;
        assert!(matches!(pushed, Pushed::Added { .. }), "{pushed:?}");
    }

    async fn claim(&self) -> Job {
        self.inbox.claim(&new_lease(), room(1, true)).await.unwrap().jobs.remove(0)
    }

    async fn settle(&self, user: &str, verdict: Verdict) -> String {
        let job = self.claim().await;
        let settlement = Settlement {
            id: job.id.clone(),
            lease: Lease::clone(&job.lease),
            verdict,
            options: job.options,
            outcome: Some(Outcome::failure(user.to_owned(), "told").unwrap()),
        };
        assert!(matches!(self.inbox.settle(&[settlement]).await.unwrap()[..], [Settled::Logged(_)]));
        job.id
    }

    async fn bury(&self, user: &str) -> String {
        self.add(user).await;
        self.settle(user, Verdict::Bury("wrong".to_owned())).await
    }

    async fn letters(&self) -> Vec<String> {
        let page = self.letters.list(&Filter::default(), Order::Oldest, 100).await.unwrap();
        page.letters.into_iter().map(|letter| letter.id).collect()
    }
}

fn over(pushed: &Pushed) -> Option<Quota> {
    if let Pushed::Over { quota, .. } = pushed { Some(*quota) } else { None }
}

async fn jobs_that_wait_are_bounded_and_make_room_when_they_end(at: Fixture) {
    for _ in 0..3 {
        at.add("ada").await;
    }
    assert_eq!(over(&at.push("ada").await), Some(Quota::JobsWaiting));
    assert_eq!(at.inbox.counts().await.unwrap().waiting, 3, "nothing was added");
    at.settle("ada", Verdict::Retry(Duration::ZERO, "again".to_owned())).await;
    assert_eq!(over(&at.push("ada").await), Some(Quota::JobsWaiting), "it still waits");
    at.add("bob").await;
    at.settle("ada", Verdict::Done).await;
    at.add("ada").await;
    assert_eq!(over(&at.push("ada").await), Some(Quota::JobsWaiting));
    at.settle("ada", Verdict::Bury("wrong".to_owned())).await;
    at.add("ada").await;
}

async fn bytes_that_wait_are_bounded(at: Fixture) {
    at.add("ada").await;
    at.add("ada").await;
    assert_eq!(over(&at.push("ada").await), Some(Quota::BytesWaiting));
    at.settle("ada", Verdict::Done).await;
    at.add("ada").await;
}

async fn jobs_per_second_are_bounded(at: Fixture) {
    for n in (0..10).rev() {
        let Pushed::Added { left, .. } = at.push("ada").await else { panic!("not added") };
        // One second may have passed.
        assert!((n..n + 2).contains(&left.unwrap()), "{left:?} are left after {n}");
    }
    let mut pushed = at.push("ada").await;
    while let Pushed::Added { .. } = pushed {
        pushed = at.push("ada").await;
    }
    let Pushed::Over { quota: Quota::JobsPerSecond, wait: Some(wait) } = pushed else { panic!("{pushed:?}") };
    assert!(wait <= Duration::from_secs(1), "{wait:?}");
    at.add("bob").await;
    tokio::time::sleep(wait + Duration::from_millis(1)).await;
    at.add("ada").await;
}

async fn new_idempotency_keys_are_bounded_and_repeats_count_for_nothing(at: Fixture) {
    assert!(matches!(at.push_once("ada", "a").await, Pushed::Added { .. }));
    assert!(matches!(at.push_once("ada", "b").await, Pushed::Added { .. }));
    assert_eq!(over(&at.push_once("ada", "c").await), Some(Quota::IdempotencyKeys));
    for _ in 0..5 {
        assert!(matches!(at.push_once("ada", "a").await, Pushed::Before(_)));
    }
    at.add("ada").await;
    assert_eq!(over(&at.push("ada").await), Some(Quota::JobsWaiting), "three jobs, whatever was repeated");
    assert!(matches!(at.push_once("bob", "c").await, Pushed::Added { .. }));
}

async fn a_driven_letter_is_not_counted_out_twice(at: Fixture) {
    let id = at.bury("ada").await;
    let layout = at.inbox.layout();
    let (letter, _) = at.letters.show(layout, NAME, &id).await.unwrap().unwrap();
    at.letters.drive(&letter, None).await.unwrap();
    at.add("ada").await;
    at.add("ada").await;
    // The driven one, whichever is claimed.
    for _ in 0..3 {
        let job = at.claim().await;
        let verdict = if job.id == id { Verdict::Done } else { Verdict::Postpone(Duration::from_mins(1)) };
        let lease = Lease::clone(&job.lease);
        let options = job.options;
        let settlement = Settlement { id: job.id, lease, verdict, options, outcome: None };
        assert_eq!(at.inbox.settle(&[settlement]).await.unwrap(), [Settled::Quietly]);
    }
    assert_eq!(at.inbox.counts().await.unwrap().delayed, 2);
    assert_eq!(over(&at.push("ada").await), Some(Quota::JobsWaiting));
}

async fn the_oldest_letters_of_a_user_go_for_newer_ones(at: Fixture) {
    let bobs = at.bury("bob").await;
    let mut adas = Vec::new();
    for _ in 0..4 {
        adas.push(at.bury("ada").await);
    }
    assert_eq!(at.letters().await, [&bobs, &adas[2], &adas[3]].map(String::clone));
    assert_eq!(at.inbox.letters_dropped(), 2);
    assert_eq!(at.inbox.counts().await.unwrap().dead, 3);
}

async fn letters_of_a_user_are_bounded_by_their_bytes(at: Fixture) {
    let mut adas = Vec::new();
    for _ in 0..3 {
        adas.push(at.bury("ada").await);
    }
    let bobs = at.bury("bob").await;
    assert_eq!(at.letters().await, [&adas[1], &adas[2], &bobs].map(String::clone));
}

#[tokio::test]
async fn who_sends_too_much_over_http_is_told_what_is_too_much_and_when_to_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = embedded(dir.path());
    config.queue.quota = Limits { jobs_per_second: 1, ..Limits::default() };
    let service = Service::start(config).await;
    let post = async || service.post("ada", NAME, create("ada", "Aria")).await;
    let first = post().await;
    let header =
        |response: &reqwest::Response, name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header(&first, "ratelimit-policy"), "\"jobs_per_second\";q=10;w=10");
    assert_eq!(header(&first, "ratelimit"), "\"jobs_per_second\";r=9;t=10");
    let mut refused = first;
    while refused.status() == StatusCode::ACCEPTED {
        refused = post().await;
    }
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(header(&refused, "retry-after"), "1");
    assert_eq!(header(&refused, "ratelimit"), "\"jobs_per_second\";r=0;t=1");
    assert_eq!(header(&refused, "content-type"), "application/problem+json");
    let problem: serde_json::Value = refused.json().await.unwrap();
    let detail = "you sent more than 1 jobs per second (quota.jobs_per_second); try again in 1 s";
    assert_eq!((&problem["status"], &problem["detail"]), (&429.into(), &detail.into()));
    let others = service.post("bob", NAME, create("bob", "Aria")).await;
    assert_eq!(others.status(), StatusCode::ACCEPTED);
    service.stop().await;
}

#[tokio::test]
async fn requests_that_wait_are_bounded_for_each_user_and_make_room_when_they_end() {
    // Its jobs wait: the queue is that of a service that is not there.
    let mut config = servers(&[("OCTAVO__BULL__QUEUES", "none")]);
    config.queue.quota = Limits { waits: 1, ..Limits::default() };
    let service = Service::start(config.clone()).await;
    let queue = crate::support::queue_of(&config, NAME).await;
    let data = create("ada", "Aria").to_string();
    let key = format!("{}{NAME}:scheduled", config.queue.prefix);
    let mut redis = crate::support::patient_redis(&config).await;
    let id = crate::support::add(&*queue, data.clone()).await;
    // One that falls due in an hour, under an id of its own.
    let _: () = redis::cmd("HSET")
        .arg(format!("{}{NAME}:data", config.queue.prefix))
        .arg("later")
        .arg(data)
        .query_async(&mut redis)
        .await
        .unwrap();
    let due = mongodb::bson::DateTime::now().timestamp_millis() / 1000 + 3600;
    let _: () = redis::cmd("ZADD").arg(key).arg(due).arg("later").query_async(&mut redis).await.unwrap();
    service.outcome("ada", &id).await;

    let waits = "/v1/jobs/later?wait=60s";
    let first = {
        // The others may be first now and then.
        let waiting =
            async { while service.get("ada", waits).await.status() == StatusCode::TOO_MANY_REQUESTS {} };
        let refused = async {
            loop {
                let response = service.get("ada", "/v1/jobs/later?wait=1s").await;
                if response.status() == StatusCode::TOO_MANY_REQUESTS {
                    return response;
                }
            }
        };
        tokio::select! {
            () = waiting => panic!("it did not wait"),
            refused = refused => refused,
        }
    };
    assert_eq!(first.headers()["ratelimit-policy"], "\"waits\";q=1;qu=\"concurrent-requests\"");
    // The one that waited was given up by its client.
    let room = async || {
        (service.get("ada", "/v1/jobs/later?wait=1s").await.status() == StatusCode::OK).then_some(())
    };
    crate::support::until("there is room again", room).await;
    service.stop().await;
}
