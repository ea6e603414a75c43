//! Keys in Redis that somebody wrote something else to: whatever it is, the jobs of others are settled and told.

use octavo::{
    config::Bull,
    outcome::Outcome,
    queue::{
        Connection, Inbox, Job, Lease, Push, Queue, Settled, Settlement, Verdict,
        apalis::ApalisQueue,
        bull::BullQueue,
        connect,
        letters::{Filter, Letters, Order, RedisLetters},
        log::{Mark, OutcomeLog, RedisLog, Which},
        new_lease,
    },
};
use redis::AsyncCommands;
use std::{sync::Arc, time::Duration};

use crate::{
    queues::push_bull,
    support::{PATIENCE, Service, limits, patient_redis, redis_of, room, servers, unique},
};

const NAME: &str = "Create_Character";

/// What somebody may write to a key.
const KINDS: [&str; 5] = ["string", "list", "hash", "zset", "set"];

struct Fixture {
    redis: Connection,
    log: RedisLog,
    letters: RedisLetters,
    at: At,
    /// What Octavo's own keys begin with, and those of the queue.
    own: String,
    keys: String,
}

enum At {
    Apalis(Arc<ApalisQueue>),
    Bull(Arc<BullQueue>),
}

impl Fixture {
    async fn new(bull: bool) -> Self {
        let (_, redis) = connect(redis_of(&servers(&[]))).await.unwrap();
        let limits = limits(&(unique("it") + ":"), PATIENCE);
        let log = RedisLog::new(redis.clone(), &limits);
        let (apalis, bulls, at, keys);
        if bull {
            let prefix = Bull { queues: vec![NAME], prefix: unique("it") };
            let queue = Arc::new(BullQueue::new(NAME, redis.clone(), &prefix, &limits, &log));
            (apalis, bulls, keys) = (vec![], vec![Arc::clone(&queue)], format!("{}:{NAME}:", prefix.prefix));
            at = At::Bull(queue);
        } else {
            let queue = Arc::new(ApalisQueue::new(NAME, redis.clone(), &limits, &log));
            (apalis, bulls, keys) = (vec![Arc::clone(&queue)], vec![], format!("{}{NAME}:", limits.prefix));
            at = At::Apalis(queue);
        }
        let letters = RedisLetters::new(redis.clone(), &apalis, &bulls);
        Self { redis, log, letters, at, own: format!("{}octavo:", limits.prefix), keys }
    }

    fn queue(&self) -> &dyn Queue {
        match &self.at {
            At::Apalis(queue) => &**queue,
            At::Bull(queue) => &**queue,
        }
    }

    async fn push(&self) {
        match &self.at {
            At::Apalis(queue) => {
                let push = Push { data: b"{}".to_vec(), user: Some("evil"), key: None };
                queue.push(push).await.unwrap();
            }
            At::Bull(_) => {
                push_bull(self.redis.clone(), &self.keys, b"{}".to_vec()).await;
            }
        }
    }

    async fn claim(&self) -> Vec<Job> {
        self.queue().claim(&new_lease(), room(20, true)).await.unwrap().jobs
    }

    /// Writes something of `kind` in place of what is at `key`.
    async fn spoil(&self, key: &str, kind: &str) {
        let mut redis = self.redis.clone();
        let _: () = redis.del(key).await.unwrap();
        let _: () = match kind {
            "string" => redis.set(key, "x").await.unwrap(),
            "list" => redis.rpush(key, "x").await.unwrap(),
            "hash" => redis.hset(key, "x", "x").await.unwrap(),
            "zset" => redis.zadd(key, "x", 1.5).await.unwrap(),
            _ => redis.sadd(key, "x").await.unwrap(),
        };
    }
}

fn settlement(job: &Job, user: &str, verdict: Verdict) -> Settlement {
    Settlement {
        id: job.id.clone(),
        lease: Lease::clone(&job.lease),
        outcome: Some(Outcome::failure(user.to_owned(), "told").unwrap()),
        options: job.options,
        verdict,
    }
}

/// Whose the job at `n` of a batch is.
fn user(n: usize) -> &'static str {
    if n.is_multiple_of(2) { "evil" } else { "ada" }
}

/// Settles jobs: every second one is of `ada`, all of whose outcomes are told.
async fn settle(at: &Fixture, jobs: &[Job], what: &str) {
    let verdict = |n: usize| match n {
        4 | 5 => Verdict::Bury("wrong".to_owned()),
        6 | 7 => Verdict::Retry(Duration::ZERO, "again".to_owned()),
        8 | 9 => Verdict::Postpone(Duration::ZERO),
        _ => Verdict::Done,
    };
    let batch: Vec<_> =
        jobs.iter().enumerate().map(|(n, job)| settlement(job, user(n), verdict(n))).collect();
    let settled = at.queue().settle(&batch).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(settled.len(), jobs.len(), "{what}");
    for (n, settled) in settled.iter().enumerate().filter(|(n, _)| user(*n) == "ada") {
        assert!(matches!(settled, Settled::Logged(_)), "{what}: job {n} is {settled:?}");
    }
}

/// Spoils `key` while jobs are in work, and again before more are claimed.
async fn check(bull: bool, key: fn(&Fixture, &Job) -> String, kind: &str) {
    let at = Fixture::new(bull).await;
    for _ in 0..12 {
        at.push().await;
    }
    let jobs = at.claim().await;
    assert_eq!(jobs.len(), 12);
    // So that there is something at all keys.
    settle(&at, &jobs[10..], "before").await;
    let jobs = &jobs[..10];
    let key = key(&at, &jobs[0]);
    let what = format!("{kind} at {key}");
    at.spoil(&key, kind).await;
    let held: Vec<_> = jobs.iter().map(|job| (job.id.clone(), Lease::clone(&job.lease))).collect();
    at.queue().renew(&held).await.unwrap_or_else(|error| panic!("{what}: renew: {error}"));
    at.spoil(&key, kind).await;
    settle(&at, jobs, &what).await;
    let told = at.log.read("ada", Which::After(0)).await.unwrap().entries.len();
    assert_eq!(told, 6, "{what}: all that ada is told is in her log");

    at.spoil(&key, kind).await;
    at.log.read("evil", Which::After(0)).await.unwrap_or_else(|error| panic!("{what}: read: {error}"));
    at.spoil(&key, kind).await;
    let mark = |user: &str, heard| Mark { user: user.into(), queue: NAME.into(), seq: 5, heard };
    let marks = [mark("evil", true), mark("evil", false), mark("ada", true)];
    at.log.mark(&marks).await.unwrap_or_else(|error| panic!("{what}: mark: {error}"));
    at.spoil(&key, kind).await;
    let counts = at.queue().counts().await.unwrap_or_else(|error| panic!("{what}: counts: {error}"));
    assert!(counts.dead >= 1 || key.contains(":dead:"), "{what}: {counts:?}");
    at.queue().rescue().await.unwrap_or_else(|error| panic!("{what}: rescue: {error}"));
    let all = at.letters.list(&Filter::default(), Order::Newest, 9).await;
    let letters = all.unwrap_or_else(|error| panic!("{what}: letters: {error}")).letters.len();
    assert!(letters >= 1 || key.contains(":dead:"), "{what}: {letters} letters");

    at.spoil(&key, kind).await;
    at.queue().claim(&new_lease(), room(0, true)).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    at.push().await;
    at.push().await;
    let mut jobs = Vec::new();
    for _ in 0..5 {
        jobs.extend(at.claim().await);
    }
    assert!(jobs.len() >= 2, "{what}: only {} jobs are claimed", jobs.len());
    settle(&at, &jobs[jobs.len() - 2..], &what).await;
}

type Key = fn(&Fixture, &Job) -> String;

/// The keys of one user, one job or all that belong to Octavo.
const OWN: [Key; 9] = [
    |at, _| format!("{}log:evil", at.own),
    |at, _| format!("{}log-state:evil", at.own),
    |at, _| format!("{}unheard:{NAME}:evil", at.own),
    |at, _| format!("{}letters:evil", at.own),
    |at, _| format!("{}letter-bytes:evil", at.own),
    |at, _| format!("{}quota:evil", at.own),
    |at, _| format!("{}dead:last", at.own),
    |at, _| format!("{}dead:{}:{NAME}", at.own, at.queue().layout()),
    |at, job| format!("{}letter:{}:{NAME}:{}", at.own, at.queue().layout(), job.id),
];

#[tokio::test]
async fn whatever_is_written_to_a_key_of_apalis_costs_others_nothing() {
    const KEYS: [Key; 9] = [
        |at, _| format!("{}counted", at.keys),
        |at, _| format!("{}active", at.keys),
        |at, _| format!("{}scheduled", at.keys),
        |at, _| format!("{}data", at.keys),
        |at, _| format!("{}leases", at.keys),
        |at, _| format!("{}places", at.keys),
        |at, _| format!("{}places:old", at.keys),
        |at, _| format!("{}places:since", at.keys),
        |at, job| format!("{}meta:{}", at.keys, job.id),
    ];
    for key in OWN.into_iter().chain(KEYS) {
        for kind in KINDS {
            check(false, key, kind).await;
        }
    }
}

#[tokio::test]
async fn whatever_is_written_to_a_key_of_bull_costs_others_nothing() {
    const KEYS: [Key; 14] = [
        |at, _| format!("{}wait", at.keys),
        |at, _| format!("{}active", at.keys),
        |at, _| format!("{}delayed", at.keys),
        |at, _| format!("{}priority", at.keys),
        |at, _| format!("{}paused", at.keys),
        |at, _| format!("{}meta-paused", at.keys),
        |at, _| format!("{}completed", at.keys),
        |at, _| format!("{}failed", at.keys),
        |at, _| format!("{}stalled", at.keys),
        |at, _| format!("{}stalled-check", at.keys),
        |at, _| format!("{}repeat", at.keys),
        |at, _| format!("{}limiter", at.keys),
        |at, job| format!("{}{}", at.keys, job.id),
        |at, job| format!("{}{}:lock", at.keys, job.id),
    ];
    let at = Fixture::new(true).await;
    let job = nobody();
    for key in OWN.into_iter().chain(KEYS) {
        for kind in KINDS {
            // Then the queue is paused, or its jobs were removed from it by hand, and rightly so.
            let is_right = [("string", ":meta-paused"), ("list", ":active")]
                .iter()
                .any(|(right, name)| kind == *right && key(&at, &job).ends_with(name));
            if !is_right {
                check(true, key, kind).await;
            }
        }
    }
}

fn nobody() -> Job {
    Job {
        id: String::new(),
        queue: NAME,
        layout: "bull",
        data: Vec::new(),
        created_ms: 0,
        claimed_ms: 0,
        attempt: 1,
        crashes: 0,
        redelivered: false,
        options: octavo::queue::Options::default(),
        lease: new_lease(),
    }
}

#[tokio::test]
async fn a_log_that_was_spoilt_begins_anew_and_tells_what_comes() {
    for bull in [false, true] {
        let at = Fixture::new(bull).await;
        for _ in 0..2 {
            at.push().await;
        }
        let jobs = at.claim().await;
        let one = at.queue().settle(&[settlement(&jobs[0], "evil", Verdict::Done)]).await.unwrap().remove(0);
        at.spoil(&format!("{}log:evil", at.own), "string").await;
        let two = at.queue().settle(&[settlement(&jobs[1], "evil", Verdict::Done)]).await.unwrap().remove(0);
        let (Settled::Logged(one), Settled::Logged(two)) = (one, two) else { panic!("not told") };
        assert_ne!(one.epoch, two.epoch, "who comes back after the first one sees that something was lost");
        let page = at.log.read("evil", Which::After(0)).await.unwrap();
        assert_eq!((page.entries.len(), page.epoch), (1, two.epoch.to_string()));
    }
}

#[tokio::test]
async fn a_bull_job_with_the_id_of_the_pause_does_not_pause_its_queue_and_a_pause_is_told() {
    let at = Fixture::new(true).await;
    let mut redis = at.redis.clone();
    let [paused, wait] = ["meta-paused", "paused"].map(|name| format!("{}{name}", at.keys));
    // As Bull adds it: from then on, the queue seems to be paused.
    let _: () = redis.hset(&paused, "data", "{}").await.unwrap();
    for id in ["meta-paused", "a", "b", "c"] {
        if id != "meta-paused" {
            let _: () = redis.hset(format!("{}{id}", at.keys), "data", "{}").await.unwrap();
        }
        let _: () = redis.lpush(&wait, id).await.unwrap();
    }
    let claim = at.queue().claim(&new_lease(), room(20, true)).await.unwrap();
    let ids: Vec<_> = claim.jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(
        (ids, claim.broken, claim.paused),
        (vec!["a", "b", "c"], vec!["meta-paused".to_owned()], false)
    );

    let _: () = redis.set(&paused, 1).await.unwrap();
    assert!(at.queue().claim(&new_lease(), room(20, true)).await.unwrap().paused);
    assert!(at.queue().counts().await.unwrap().paused);
    let _: () = redis.del(&paused).await.unwrap();
    assert!(!at.queue().counts().await.unwrap().paused);
}

#[tokio::test]
async fn a_pause_is_told_in_health_and_metrics() {
    let config = servers(&[]);
    let mut redis = patient_redis(&config).await;
    let paused = format!("{}:{NAME}:meta-paused", config.bull.prefix);
    let _: () = redis.set(&paused, 1).await.unwrap();
    let service = Service::start(config).await;
    let health = service.health().await;
    assert_eq!(health["queues"][NAME]["paused"], true);
    assert_eq!(health["queues"]["Read_Character"]["paused"], false);
    let metrics = service.get("ada", "/metrics").await.text().await.unwrap();
    let gauge =
        |queue: &str, layout: &str| format!("octavo_queue_paused{{queue=\"{queue}\",layout=\"{layout}\"}}");
    assert!(metrics.contains(&format!("{} 1\n", gauge(NAME, "bull"))), "{metrics}");
    assert!(metrics.contains(&format!("{} 0\n", gauge(NAME, "apalis"))), "{metrics}");
    service.stop().await;
}
