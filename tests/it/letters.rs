//! Dead letters, run against each layout; and what only one of them must.

use std::{sync::Arc, time::Duration};

use octavo::{
    auth::Auth,
    config::{self, Bull},
    embedded::Embedded,
    outcome::Outcome,
    queue::{
        Connection, Counts, Inbox, Job, Keep, Lease, Queue, Settled, Settlement, State, Verdict,
        apalis::ApalisQueue,
        bull::BullQueue,
        connect,
        embedded::{EmbeddedLetters, EmbeddedQueue},
        letters::{Driven, Filter, Letter, Letters, Order, Range, RedisLetters},
        log::RedisLog,
        new_lease,
    },
};
use redis::AsyncCommands;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    queues::push_bull,
    support::{
        PATIENCE, SECRET, Service, add, create, embedded, limits, redis_of, room, servers, unique, until,
    },
};

const NAME: &str = "Create_Character";

/// A queue, its letters, and a way to put jobs into it.
struct Fixture {
    queue: Arc<dyn Queue>,
    letters: Arc<dyn Letters>,
    producer: Producer,
    _dir: Option<TempDir>,
}

enum Producer {
    Inbox(Arc<dyn Inbox>),
    /// A connection, and what the keys of the queue begin with.
    Bull(Connection, String),
}

impl Fixture {
    async fn push(&self, data: &str) -> String {
        match &self.producer {
            Producer::Inbox(inbox) => add(&**inbox, data).await,
            Producer::Bull(redis, prefix) => push_bull(redis.clone(), prefix, data.into()).await,
        }
    }

    async fn claim(&self) -> Job {
        self.queue.claim(&new_lease(), room(1, true)).await.unwrap().jobs.remove(0)
    }

    async fn settle(&self, job: &Job, verdict: Verdict) {
        let outcome = Some(Outcome::failure("u1".to_owned(), "told").unwrap());
        let (id, lease) = (job.id.clone(), Lease::clone(&job.lease));
        let settlement = Settlement { id, lease, verdict, options: job.options, outcome };
        assert_ne!(self.queue.settle(&[settlement]).await.unwrap(), [Settled::Lost]);
    }

    /// A job with this data dies for this reason; gives its id.
    async fn bury(&self, data: &str, reason: &str) -> String {
        self.push(data).await;
        let job = self.claim().await;
        self.settle(&job, Verdict::Bury(reason.to_owned())).await;
        job.id
    }

    async fn show(&self, id: &str) -> Option<(Letter, Vec<u8>)> {
        self.letters.show(self.queue.layout(), NAME, id).await.unwrap()
    }

    /// Drives a letter that must be there.
    async fn drive(&self, id: &str, data: Option<&str>) -> Driven {
        let (letter, _) = self.show(id).await.unwrap();
        self.letters.drive(&letter, data.map(Into::into)).await.unwrap()
    }

    async fn list(&self, filter: &Filter, order: Order, limit: usize) -> (Vec<String>, Option<Range>) {
        let page = self.letters.list(filter, order, limit).await.unwrap();
        (page.letters.into_iter().map(|letter| letter.id).collect(), page.next)
    }

    async fn all(&self) -> Vec<String> {
        self.list(&Filter::default(), Order::Newest, 100).await.0
    }

    async fn counts(&self) -> Counts {
        self.queue.counts().await.unwrap()
    }
}

fn keep_for(letter_ttl: Duration) -> config::Queue {
    config::Queue { letter_ttl, ..limits(&(unique("it") + ":"), Duration::from_mins(1)) }
}

async fn redis() -> Connection {
    connect(redis_of(&servers(&[]))).await.unwrap().1
}

fn apalis(redis: Connection, config: &config::Queue) -> Fixture {
    let log = RedisLog::new(redis.clone(), config);
    let queue = Arc::new(ApalisQueue::new(NAME, redis.clone(), config, &log));
    let letters = Arc::new(RedisLetters::new(redis, &[Arc::clone(&queue)], &[]));
    Fixture { queue: queue.clone(), letters, producer: Producer::Inbox(queue), _dir: None }
}

async fn on_redis(ttl: Duration) -> Fixture {
    apalis(redis().await, &keep_for(ttl))
}

async fn on_bull(ttl: Duration) -> Fixture {
    let (redis, config) = (redis().await, keep_for(ttl));
    let bull = Bull { queues: vec![NAME], prefix: unique("it") };
    let log = RedisLog::new(redis.clone(), &config);
    let queue = Arc::new(BullQueue::new(NAME, redis.clone(), &bull, &config, &log));
    let letters = Arc::new(RedisLetters::new(redis.clone(), &[], &[Arc::clone(&queue)]));
    let producer = Producer::Bull(redis, format!("{}:{NAME}:", bull.prefix));
    Fixture { queue, letters, producer, _dir: None }
}

async fn on_file(ttl: Duration) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let file = Embedded::open(dir.path()).unwrap();
    let queue = Arc::new(EmbeddedQueue::open(NAME, file.clone(), &keep_for(ttl)).await.unwrap());
    let letters = Arc::new(EmbeddedLetters::new(file, &[Arc::clone(&queue)]));
    Fixture { queue: queue.clone(), letters, producer: Producer::Inbox(queue), _dir: Some(dir) }
}

const LONG: Duration = PATIENCE;
const SHORT: Duration = Duration::from_secs(1);

macro_rules! on_every_queue {
    ($($test:ident($ttl:ident);)*) => {
        on_every_queue! { @layout_of_apalis, on_redis: $($test($ttl);)* }
        on_every_queue! { @layout_of_bull, on_bull: $($test($ttl);)* }
        on_every_queue! { @embedded_layout, on_file: $($test($ttl);)* }
    };
    (@$module:ident, $fixture:ident: $($test:ident($ttl:ident);)*) => {
        mod $module {
            $(#[tokio::test] async fn $test() { super::$test(&super::$fixture(super::$ttl).await).await; })*
        }
    };
}

on_every_queue! {
    a_letter_says_all_that_is_known_of_the_job(LONG);
    a_letter_is_driven_once_and_its_job_begins_anew(LONG);
    a_driven_job_can_have_other_data(LONG);
    a_job_that_dies_again_has_one_letter_and_another_serial(LONG);
    letters_are_listed_newest_first_and_in_pages(LONG);
    letters_are_found_by_their_reason_their_queue_and_their_id(LONG);
    a_walk_from_the_oldest_ends_at_what_was_the_newest(LONG);
    letters_are_forgotten_when_their_time_is_up(SHORT);
}

async fn a_letter_says_all_that_is_known_of_the_job(at: &Fixture) {
    let id = at.push(r#"{"n": 1}"#).await;
    let first = at.claim().await;
    at.settle(&first, Verdict::Retry(Duration::ZERO, "the store\nwas away".to_owned())).await;
    let job = until("the job is due", async || {
        at.queue.claim(&new_lease(), room(1, true)).await.unwrap().jobs.pop()
    })
    .await;
    at.settle(&job, Verdict::Bury("no good".to_owned())).await;

    let (letter, data) = at.show(&id).await.unwrap();
    assert_eq!(data, br#"{"n": 1}"#);
    assert_eq!((letter.layout, letter.queue, letter.bytes), (at.queue.layout(), NAME, 8));
    assert_eq!(
        (letter.reason.as_str(), letter.last_error.as_deref()),
        ("no good", Some("the store\nwas away"))
    );
    assert_eq!((letter.attempts, letter.crashes), (2, 0));
    assert_eq!(letter.created_ms, Some(first.created_ms));
    assert_eq!(letter.claimed_ms, Some(job.claimed_ms));
    assert!(letter.died_ms >= job.claimed_ms && letter.died_ms - job.claimed_ms < 60_000, "{letter:?}");
    assert_eq!(at.letters.list(&Filter::default(), Order::Newest, 9).await.unwrap().letters, [letter]);
    assert_eq!(at.counts().await, Counts { dead: 1, ..Counts::default() });
}

async fn a_letter_is_driven_once_and_its_job_begins_anew(at: &Fixture) {
    let id = at.bury(r#"{"n": 1}"#, "no good").await;
    let (letter, _) = at.show(&id).await.unwrap();
    assert_eq!(at.letters.drive(&letter, None).await.unwrap(), Driven::Again);
    assert_eq!(at.letters.drive(&letter, None).await.unwrap(), Driven::Gone);
    assert!(at.show(&id).await.is_none());
    assert!(at.all().await.is_empty());
    assert_eq!(at.counts().await, Counts { waiting: 1, ..Counts::default() });
    if let Producer::Inbox(inbox) = &at.producer {
        let look = inbox.look(&id).await.unwrap().unwrap();
        assert_eq!(
            (look.state, look.outcome.is_none()),
            (State::Waiting, true),
            "the failure is told no more"
        );
    }

    let job = at.claim().await;
    assert_eq!((job.id.as_str(), job.attempt, job.crashes, job.redelivered), (id.as_str(), 1, 0, true));
    assert_eq!((&job.data[..], Some(job.created_ms)), (&br#"{"n": 1}"#[..], letter.created_ms));
    at.settle(&job, Verdict::Done).await;
    assert_eq!(at.counts().await, Counts::default());
}

async fn a_driven_job_can_have_other_data(at: &Fixture) {
    let id = at.bury("{}", "no good").await;
    assert_eq!(at.drive(&id, Some(r#"{"n": 2}"#)).await, Driven::Again);
    assert_eq!(at.claim().await.data, br#"{"n": 2}"#);
}

async fn a_job_that_dies_again_has_one_letter_and_another_serial(at: &Fixture) {
    let id = at.bury("{}", "no good").await;
    let (old, _) = at.show(&id).await.unwrap();
    assert_eq!(at.drive(&id, None).await, Driven::Again);
    let job = at.claim().await;
    at.settle(&job, Verdict::Bury("still no good".to_owned())).await;

    let (new, _) = at.show(&id).await.unwrap();
    assert_eq!((new.reason.as_str(), new.last_error, new.attempts), ("still no good", None, 1));
    assert!(new.serial > old.serial);
    assert_eq!(at.letters.drive(&old, None).await.unwrap(), Driven::Gone, "another letter was meant");
    assert_eq!(at.all().await, [id]);
}

async fn letters_are_listed_newest_first_and_in_pages(at: &Fixture) {
    let mut buried = Vec::new();
    for n in 0..5 {
        buried.push(at.bury("{}", &format!("no {n}")).await);
    }
    buried.reverse();
    let mut filter = Filter::default();
    for expected in [&buried[..2], &buried[2..4], &buried[4..]] {
        let (ids, next) = at.list(&filter, Order::Newest, 2).await;
        assert_eq!(ids, expected);
        filter.range = next.unwrap_or_default();
    }
    assert_eq!(filter.range, Range::default(), "the last page says that it is the last");
    assert_eq!(at.letters.count(&Filter::default()).await.unwrap(), 5);
}

async fn letters_are_found_by_their_reason_their_queue_and_their_id(at: &Fixture) {
    let missing = at.bury("{}", "Name is missing").await;
    let panicked = at.bury("{}", "the service panicked").await;
    let find = async |filter: Filter| at.list(&filter, Order::Newest, 10).await;
    let filter = Filter::default;
    assert_eq!(
        find(Filter { reason: Some("NAME is".into()), ..filter() }).await,
        (vec![missing.clone()], None)
    );
    assert_eq!(find(Filter { id: Some(panicked.clone()), ..filter() }).await, (vec![panicked.clone()], None));
    assert_eq!(find(Filter { id: Some("none".into()), ..filter() }).await, (vec![], None));
    let here = Filter { layout: Some(at.queue.layout().into()), queue: Some(NAME.into()), ..filter() };
    assert_eq!(find(here).await, (vec![panicked, missing], None));
    assert_eq!(find(Filter { queue: Some("Read_Character".into()), ..filter() }).await, (vec![], None));
    assert_eq!(find(Filter { layout: Some("other".into()), ..filter() }).await, (vec![], None));
    assert!(at.letters.show("other", NAME, "1").await.unwrap().is_none());
}

async fn a_walk_from_the_oldest_ends_at_what_was_the_newest(at: &Fixture) {
    let mut buried = Vec::new();
    for _ in 0..4 {
        buried.push(at.bury("{}", "no good").await);
    }
    let (first, next) = at.list(&Filter::default(), Order::Oldest, 2).await;
    assert_eq!(first, buried[..2]);
    // What is driven now, and dies again, is not met again.
    for id in &first {
        assert_eq!(at.drive(id, None).await, Driven::Again);
        let job = at.claim().await;
        at.settle(&job, Verdict::Bury("no good".to_owned())).await;
    }
    let rest = Filter { range: next.unwrap(), ..Filter::default() };
    assert_eq!(at.letters.count(&rest).await.unwrap(), 2);
    assert_eq!(at.list(&rest, Order::Oldest, 10).await, (buried[2..].to_vec(), None));
}

async fn letters_are_forgotten_when_their_time_is_up(at: &Fixture) {
    let id = at.bury("{}", "no good").await;
    assert_eq!(at.all().await, [id.as_str()]);
    let forgotten = async || {
        at.queue.rescue().await.unwrap();
        (at.all().await.is_empty() && at.show(&id).await.is_none()).then_some(())
    };
    until("the letter is forgotten", forgotten).await;
    assert_eq!(at.counts().await, Counts::default());
    assert_eq!(at.letters.count(&Filter::default()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_job_of_bull_that_failed_through_its_users_fault_has_its_reason_and_no_letter() {
    let at = on_bull(LONG).await;
    let Producer::Bull(redis, prefix) = &at.producer else { panic!("not Bull") };
    let mut redis = redis.clone();
    let id = at.push("{}").await;
    let job = at.claim().await;
    at.settle(&job, Verdict::Fail("no good".to_owned())).await;
    let fields: (String, u32) =
        redis.hmget(format!("{prefix}{id}"), &["failedReason", "attemptsMade"]).await.unwrap();
    assert_eq!(fields, ("no good".to_owned(), 1));
    assert_eq!(redis.zrange::<_, Vec<String>>(format!("{prefix}failed"), 0, -1).await.unwrap(), [id]);
    assert_eq!((at.all().await, at.counts().await.dead), (vec![], 0));
}

#[tokio::test]
async fn a_letter_outlives_what_bull_keeps_and_is_a_job_of_bull_again() {
    let at = on_bull(LONG).await;
    let Producer::Bull(redis, prefix) = &at.producer else { panic!("not Bull") };
    let mut redis = redis.clone();
    let id = at.push("{}").await;
    let opts = r#"{"attempts":1,"lifo":true,"removeOnFail":true}"#;
    let key = format!("{prefix}{id}");
    let _: () =
        redis.hset_multiple(&key, &[("name", "paint"), ("opts", opts), ("priority", "3")]).await.unwrap();
    let job = at.claim().await;
    assert_eq!(job.options.keep_failed, Keep::Nothing);
    at.settle(&job, Verdict::Bury("no good".to_owned())).await;
    assert!(!redis.exists::<_, bool>(&key).await.unwrap());

    at.push("{}").await;
    let _: () = redis.set(format!("{prefix}meta-paused"), 1).await.unwrap();
    assert_eq!(at.drive(&id, None).await, Driven::Again);
    let fields: (String, String, String, i64, i64) =
        redis.hmget(&key, &["name", "opts", "priority", "timestamp", "attemptsMade"]).await.unwrap();
    assert_eq!(fields, ("paint".into(), opts.into(), "3".into(), job.created_ms, 0));
    assert_eq!(redis.lrange::<_, Vec<String>>(format!("{prefix}paused"), 0, -1).await.unwrap(), [id]);
}

#[tokio::test]
async fn a_job_that_bull_drove_again_has_no_letter_any_more() {
    let at = on_bull(LONG).await;
    let Producer::Bull(redis, prefix) = &at.producer else { panic!("not Bull") };
    let mut redis = redis.clone();
    let id = at.bury("{}", "no good").await;
    // As its `reprocessJob` does.
    let _: () = redis::pipe()
        .hset(format!("{prefix}{id}"), "retriedOn", 1)
        .hdel(format!("{prefix}{id}"), "processedOn")
        .zrem(format!("{prefix}failed"), &id)
        .lpush(format!("{prefix}wait"), &id)
        .query_async(&mut redis)
        .await
        .unwrap();
    assert_eq!(at.drive(&id, None).await, Driven::InQueue);
    assert_eq!(at.all().await, [id.as_str()], "a letter that was not driven is still there");
    assert_eq!(at.claim().await.id, id);
    assert!(at.all().await.is_empty() && at.show(&id).await.is_none());
}

#[tokio::test]
async fn data_that_was_mended_in_bull_is_what_is_driven() {
    let at = on_bull(LONG).await;
    let Producer::Bull(redis, prefix) = &at.producer else { panic!("not Bull") };
    let id = at.bury("{}", "no good").await;
    let _: () = redis.clone().hset(format!("{prefix}{id}"), "data", r#"{"mended": 1}"#).await.unwrap();
    assert_eq!(at.drive(&id, Some(r#"{"fresh": 1}"#)).await, Driven::Again);
    assert_eq!(at.claim().await.data, br#"{"mended": 1}"#);
    assert_eq!(redis.clone().zcard::<_, u64>(format!("{prefix}failed")).await.unwrap(), 0);
}

#[tokio::test]
async fn a_letter_is_not_driven_over_another_job_with_its_id() {
    let config = keep_for(LONG);
    let mut redis = redis().await;
    let at = apalis(redis.clone(), &config);
    let id = at.bury("{}", "no good").await;
    let _: () = redis.hset(format!("{}{NAME}:data", config.prefix), &id, r#"{"another": 1}"#).await.unwrap();
    assert_eq!(at.drive(&id, None).await, Driven::InQueue);
    assert!(at.show(&id).await.is_some());
}

#[tokio::test]
async fn letters_of_all_queues_are_one_list() {
    let config = keep_for(LONG);
    let redis = redis().await;
    let log = RedisLog::new(redis.clone(), &config);
    let apalis = ["Create_Character", "Read_Character"]
        .map(|name| Arc::new(ApalisQueue::new(name, redis.clone(), &config, &log)));
    let bull = Bull { queues: vec![NAME], prefix: unique("it") };
    let bull_queue = Arc::new(BullQueue::new(NAME, redis.clone(), &bull, &config, &log));
    let letters: Arc<dyn Letters> =
        Arc::new(RedisLetters::new(redis.clone(), &apalis, &[Arc::clone(&bull_queue)]));
    let at = |queue: Arc<dyn Queue>, producer| Fixture {
        queue,
        letters: Arc::clone(&letters),
        producer,
        _dir: None,
    };
    let [creates, reads] = apalis.map(|queue| at(queue.clone(), Producer::Inbox(queue)));
    let bull = at(bull_queue, Producer::Bull(redis, format!("{}:{NAME}:", bull.prefix)));

    let mut buried = Vec::new();
    for n in 0..3 {
        for at in [&creates, &bull, &reads] {
            buried.push(at.bury("{}", &format!("no {n}")).await);
        }
    }
    buried.reverse();
    assert_eq!(creates.all().await, buried);
    let mut found = Vec::new();
    let mut filter = Filter::default();
    loop {
        let (ids, next) = creates.list(&filter, Order::Newest, 2).await;
        found.extend(ids);
        let Some(range) = next else { break };
        filter.range = range;
    }
    assert_eq!(found, buried);
    let reason = Filter { reason: Some("no 1".into()), ..Filter::default() };
    assert_eq!(creates.list(&reason, Order::Newest, 10).await.0, buried[3..6]);
}

#[tokio::test]
async fn letters_of_all_queues_in_a_file_are_one_list() {
    let (dir, config) = (tempfile::tempdir().unwrap(), keep_for(LONG));
    let file = Embedded::open(dir.path()).unwrap();
    let open = async |name| Arc::new(EmbeddedQueue::open(name, file.clone(), &config).await.unwrap());
    let queues = [open("Create_Character").await, open("Read_Character").await];
    let letters: Arc<dyn Letters> = Arc::new(EmbeddedLetters::new(file, &queues));
    let at = |queue: Arc<EmbeddedQueue>| Fixture {
        queue: queue.clone(),
        letters: Arc::clone(&letters),
        producer: Producer::Inbox(queue),
        _dir: None,
    };
    let [creates, reads] = queues.map(at);
    let mut buried = Vec::new();
    for _ in 0..3 {
        for at in [&creates, &reads] {
            buried.push(at.bury("{}", "no good").await);
        }
    }
    assert_eq!(creates.list(&Filter::default(), Order::Oldest, 10).await, (buried.clone(), None));
    buried.reverse();
    assert_eq!(creates.all().await, buried);
    let of_reads: Vec<_> = buried.iter().step_by(2).cloned().collect();
    let mut filter = Filter { queue: Some("Read_Character".into()), ..Filter::default() };
    assert_eq!(creates.list(&filter, Order::Newest, 10).await, (of_reads.clone(), None));
    let (first, next) = creates.list(&filter, Order::Newest, 2).await;
    assert_eq!(first, of_reads[..2]);
    filter.range = next.unwrap();
    assert_eq!(creates.list(&filter, Order::Newest, 2).await, (of_reads[2..].to_vec(), None));
}

#[tokio::test]
async fn a_job_whose_id_is_no_text_has_a_letter_that_can_be_asked_for() {
    let config = keep_for(LONG);
    let mut redis = redis().await;
    let at = apalis(redis.clone(), &config);
    let name = format!("{}{NAME}", config.prefix);
    let _: () = redis.rpush(format!("{name}:active"), b"c\xff").await.unwrap();
    let _: () = redis.hset(format!("{name}:data"), b"c\xff", "{}").await.unwrap();
    assert!(at.queue.claim(&new_lease(), room(1, true)).await.unwrap().jobs.is_empty());
    assert_eq!(at.show(r"c\xff").await.unwrap().0.reason, "its id is not text");
    assert_eq!(at.drive(r"c\xff", None).await, Driven::Again);
    assert_eq!(at.claim().await.id, r"c\xff");
}

#[tokio::test]
async fn a_file_of_the_version_before_is_opened_with_its_dead_jobs_as_letters() {
    let dir = tempfile::tempdir().unwrap();
    let old = "CREATE TABLE jobs (seq INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, id TEXT NOT NULL,
        data BLOB NOT NULL, state TEXT NOT NULL DEFAULT 'waiting', created INTEGER NOT NULL, due INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0, crashes INTEGER NOT NULL DEFAULT 0, claimed INTEGER NOT NULL DEFAULT 0,
        lease TEXT, lease_until INTEGER, reason TEXT, UNIQUE (queue, id));
        INSERT INTO jobs (queue, id, data, state, created, due, claimed, reason) VALUES
        ('Create_Character', 'a', x'7b7d', 'dead', 1, 1, 1, 'no good'),
        ('Create_Character', 'b', x'7b7d', 'dead', 2, 2, 1, 'no good'),
        ('Create_Character', 'c', x'7b7d', 'waiting', 3, 3, 0, NULL);";
    rusqlite::Connection::open(dir.path().join("octavo.db")).unwrap().execute_batch(old).unwrap();
    let file = Embedded::open(dir.path()).unwrap();
    let queue = Arc::new(EmbeddedQueue::open(NAME, file.clone(), &keep_for(LONG)).await.unwrap());
    let letters = Arc::new(EmbeddedLetters::new(file, &[Arc::clone(&queue)]));
    let at = Fixture { queue: queue.clone(), letters, producer: Producer::Inbox(queue), _dir: Some(dir) };
    assert_eq!(at.all().await, ["b", "a"]);
    assert_eq!(at.counts().await, Counts { dead: 2, waiting: 1, ..Counts::default() });
    assert_eq!(at.drive("a", None).await, Driven::Again);
    assert_eq!([at.claim().await.id, at.claim().await.id], ["c", "a"]);
}

/// A create whose reason to die is gone, with a token that expired since.
fn expired(user: &str) -> String {
    let mut data = create(user, "Aria");
    data["Token"] = json!(Auth::new(&SECRET.into()).sign(user, Duration::ZERO).unwrap());
    data.to_string()
}

#[tokio::test]
async fn an_admin_drives_letters_again_on_servers() {
    let config = servers(&[]);
    let at = apalis(connect(redis_of(&config)).await.unwrap().1, &config.queue);
    let ids = [at.bury(&expired("ada"), "no good").await, at.bury(&expired("ada"), "no good").await];
    check_admin(Service::start(config).await, "apalis", ids).await;
}

#[tokio::test]
async fn an_admin_drives_letters_again_on_the_embedded_store() {
    let dir = tempfile::tempdir().unwrap();
    let config = embedded(dir.path());
    let file = Embedded::open(dir.path()).unwrap();
    let queue = Arc::new(EmbeddedQueue::open(NAME, file.clone(), &config.queue).await.unwrap());
    let letters = Arc::new(EmbeddedLetters::new(file, &[Arc::clone(&queue)]));
    let at = Fixture { queue: queue.clone(), letters, producer: Producer::Inbox(queue), _dir: None };
    let ids = [at.bury(&expired("ada"), "no good").await, at.bury(&expired("ada"), "no good").await];
    drop(at);
    check_admin(Service::start(config).await, "embedded", ids).await;
}

async fn check_admin(service: Service, layout: &str, [one, other]: [String; 2]) {
    let ask = async |method, path: &str| service.admin(method, &format!("/dead-letters{path}")).await;
    let (_, listed) = ask(Method::GET, "").await;
    assert_eq!((&listed["letters"][0]["id"], &listed["letters"][1]["id"]), (&json!(other), &json!(one)));
    let path = format!("/{layout}/{NAME}/{one}");
    let (_, shown) = ask(Method::GET, &path).await;
    assert_eq!((&shown["data"]["Token"], &shown["data"]["Name"]), (&json!("(not shown)"), &json!("Aria")));

    assert_eq!(ask(Method::POST, &format!("{path}/retry")).await, (StatusCode::OK, json!({ "driven": 1 })));
    assert_eq!(ask(Method::POST, &format!("{path}/retry")).await.0, StatusCode::NOT_FOUND);
    let driven = json!({ "driven": 1, "in_queue": 0, "left": 0, "next": null });
    assert_eq!(ask(Method::POST, "/retry?reason=no").await, (StatusCode::OK, driven));
    for id in [one, other] {
        let done = json!({ "Message": "Character created correctly", "Status": true });
        assert_eq!(service.outcome("ada", &id).await, done);
    }
    assert_eq!(ask(Method::GET, "").await.1, json!({ "letters": [], "next": null }));
    service.stop().await;
}
