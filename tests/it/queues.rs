//! What every queue does, run against each layout; and what only one of them must.

use std::{ops::Deref, sync::Arc, time::Duration};

use octavo::{
    config::Bull,
    embedded::Embedded,
    outcome::Outcome,
    queue::{
        Claim, Connection, Counts, Inbox, Job, Lease, Listener, Queue, Room, Settled, Settlement, State,
        Verdict, apalis::ApalisQueue, bull::BullQueue, connect, embedded::EmbeddedQueue, log::RedisLog,
        new_lease,
    },
};
use redis::AsyncCommands;
use tempfile::TempDir;

use crate::support::{PATIENCE, add, limits, redis_of, room, servers, unique, until};

const NAME: &str = "Create_Character";

/// A queue, a way to put jobs into it, and what must live as long as it.
struct Fixture {
    queue: Arc<dyn Queue>,
    producer: Producer,
    _dir: Option<TempDir>,
}

#[derive(Clone)]
enum Producer {
    Inbox(Arc<dyn Inbox>),
    /// A connection, and what the keys of the queue begin with.
    Bull(Connection, String),
}

impl Deref for Fixture {
    type Target = dyn Queue;

    fn deref(&self) -> &Self::Target {
        &*self.queue
    }
}

impl Fixture {
    fn of(inbox: Arc<dyn Inbox>, dir: Option<TempDir>) -> Self {
        Self { queue: Arc::clone(&inbox) as _, producer: Producer::Inbox(inbox), _dir: dir }
    }

    fn inbox(&self) -> &dyn Inbox {
        match &self.producer {
            Producer::Inbox(inbox) => &**inbox,
            Producer::Bull(..) => panic!("nobody looks into a queue of Bull"),
        }
    }

    async fn push(&self, data: Vec<u8>) -> String {
        match &self.producer {
            Producer::Inbox(inbox) => add(&**inbox, data).await,
            Producer::Bull(redis, prefix) => push_bull(redis.clone(), prefix, data).await,
        }
    }
}

/// Adds a job as Bull does. The real Bull is in `tests/node`.
pub async fn push_bull(mut redis: Connection, prefix: &str, data: Vec<u8>) -> String {
    let id: u64 = redis.incr(format!("{prefix}id"), 1).await.unwrap();
    let now = mongodb::bson::DateTime::now().timestamp_millis();
    let _: () = redis::pipe()
        .hset(format!("{prefix}{id}"), "data", data)
        .hset(format!("{prefix}{id}"), "timestamp", now)
        .lpush(format!("{prefix}wait"), id)
        .query_async(&mut redis)
        .await
        .unwrap();
    id.to_string()
}

async fn on_redis(lease: Duration) -> Fixture {
    let (_, redis) = connect(redis_of(&servers(&[]))).await.unwrap();
    let limits = limits(&(unique("it") + ":"), lease);
    let log = RedisLog::new(redis.clone(), &limits);
    let queue = ApalisQueue::new(NAME, redis, &limits, &log);
    Fixture::of(Arc::new(queue), None)
}

async fn on_bull(lease: Duration) -> Fixture {
    let (_, redis) = connect(redis_of(&servers(&[]))).await.unwrap();
    let bull = Bull { queues: vec![NAME], prefix: unique("it") };
    let limits = limits(&(unique("it") + ":"), lease);
    let log = RedisLog::new(redis.clone(), &limits);
    let queue = Arc::new(BullQueue::new(NAME, redis.clone(), &bull, &limits, &log));
    Fixture { queue, producer: Producer::Bull(redis, format!("{}:{NAME}:", bull.prefix)), _dir: None }
}

async fn on_file(lease: Duration) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let queue =
        EmbeddedQueue::open(NAME, Embedded::open(dir.path()).unwrap(), &limits("", lease)).await.unwrap();
    Fixture::of(Arc::new(queue), Some(dir))
}

/// A lease that does not run out in a test, and one that does soon.
const LONG: Duration = PATIENCE;
const SHORT: Duration = Duration::from_millis(300);

/// One that runs out in a test, but not while something is done with it, on a slow machine too.
const BRIEF: Duration = Duration::from_secs(4);

macro_rules! on_queues {
    ($module:ident, $fixture:ident: $($test:ident($lease:expr);)*) => {
        mod $module {
            $(#[tokio::test] async fn $test() { super::$test(&super::$fixture($lease).await).await; })*
        }
    };
}

macro_rules! on_every_queue {
    ($($tests:tt)*) => {
        on_queues! { layout_of_apalis, on_redis: $($tests)* }
        on_queues! { layout_of_bull, on_bull: $($tests)* }
        on_queues! { embedded_layout, on_file: $($tests)* }
    };
}

macro_rules! on_every_inbox {
    ($($tests:tt)*) => {
        on_queues! { inbox_of_apalis, on_redis: $($tests)* }
        on_queues! { embedded_inbox, on_file: $($tests)* }
    };
}

on_every_queue! {
    jobs_are_claimed_in_order_and_once(super::LONG);
    a_lost_lease_is_refused(super::BRIEF);
    a_renewed_lease_is_kept(super::BRIEF);
    a_retry_waits_its_time_and_counts_an_attempt(super::LONG);
    a_released_job_is_first_and_counts_nothing(super::LONG);
    a_claim_is_bounded_by_bytes(super::LONG);
    a_suspect_is_given_alone(super::SHORT);
    a_share_of_a_claim_is_of_the_newest_where_many_wait(super::LONG);
}

on_every_inbox! {
    a_done_job_leaves_nothing_but_its_outcome(super::LONG);
    an_outcome_comes_with_its_lease_only(super::SHORT);
    a_buried_job_is_kept_and_not_claimed(super::LONG);
    a_job_that_failed_through_its_users_fault_is_over_and_leaves_no_letter(super::LONG);
    a_job_that_waits_for_its_time_is_delayed(super::LONG);
    an_unknown_job_is_not_found(super::LONG);
}

async fn jobs_are_claimed_in_order_and_once(queue: &Fixture) {
    let pushed = push(queue, 5).await;
    let first = claim(queue, 3).await;
    let second = claim(queue, 3).await;
    assert_eq!(ids(&first), pushed[..3]);
    assert_eq!(ids(&second), pushed[3..]);
    assert!(claim(queue, 3).await.jobs.is_empty());

    let job = &first.jobs[0];
    assert_eq!((job.queue, job.attempt, job.crashes, job.redelivered), (NAME, 1, 0, false));
    assert_eq!(job.data, br#"{"n": 0}"#);
    assert!(job.claimed_ms - job.created_ms < 60_000, "{job:?}");
    assert_eq!(queue.counts().await.unwrap(), Counts { active: 5, ..Counts::default() });
}

async fn a_done_job_leaves_nothing_but_its_outcome(queue: &Fixture) {
    let id = push_one(queue).await;
    assert_eq!(state(queue, &id).await, State::Waiting);
    let job = claim_one(queue).await;
    assert_eq!(state(queue, &id).await, State::Active);
    assert!(settle(queue, &job, Verdict::Done, Some("u1")).await);

    let look = queue.inbox().look(&id).await.unwrap().unwrap();
    assert_eq!((look.state, look.data), (State::Done, None));
    let outcome = look.outcome.unwrap();
    assert_eq!(
        (outcome.user.as_str(), outcome.profile.get()),
        ("u1", r#"{"Message":"told","Status":false}"#)
    );
    assert_eq!(queue.counts().await.unwrap(), Counts::default());
    assert!(!settle(queue, &job, Verdict::Done, None).await, "settled twice");
}

async fn a_lost_lease_is_refused(queue: &Fixture) {
    let id = push_one(queue).await;
    let lost = claim_one(queue).await;
    rescued(queue).await;
    let job = claim_one(queue).await;
    assert_eq!((job.id.as_str(), job.crashes, job.redelivered, job.attempt), (id.as_str(), 1, true, 1));
    assert_eq!(job.created_ms, lost.created_ms);

    assert!(!settle(queue, &lost, Verdict::Done, Some("u1")).await);
    assert_eq!(renew(queue, &lost).await, [false]);
    assert_eq!(renew(queue, &job).await, [true]);
    assert!(settle(queue, &job, Verdict::Done, Some("u1")).await);
}

async fn an_outcome_comes_with_its_lease_only(queue: &Fixture) {
    let id = push_one(queue).await;
    let lost = claim_one(queue).await;
    rescued(queue).await;
    assert!(!settle(queue, &lost, Verdict::Done, Some("u1")).await);
    assert!(queue.inbox().look(&id).await.unwrap().unwrap().outcome.is_none());
}

async fn a_renewed_lease_is_kept(queue: &Fixture) {
    push_one(queue).await;
    let job = claim_one(queue).await;
    for _ in 0..4 {
        tokio::time::sleep(BRIEF / 3).await;
        assert_eq!(renew(queue, &job).await, [true]);
        assert_eq!(queue.rescue().await.unwrap(), 0);
    }
    assert!(settle(queue, &job, Verdict::Done, None).await);
}

async fn a_retry_waits_its_time_and_counts_an_attempt(queue: &Fixture) {
    let pause = Duration::from_secs(5);
    let id = push_one(queue).await;
    let job = claim_one(queue).await;
    assert!(settle(queue, &job, Verdict::Retry(pause, "not now".to_owned()), None).await);
    assert_eq!(queue.counts().await.unwrap(), Counts { delayed: 1, ..Counts::default() });

    let early = claim(queue, 1).await;
    assert!(early.jobs.is_empty());
    let due = early.next_due.unwrap();
    assert!(due <= pause && due > Duration::ZERO, "{due:?}");
    let again = until("the job is due", async || claim(queue, 1).await.jobs.pop()).await;
    assert_eq!((again.id, again.attempt, again.crashes), (id, 2, 0));
}

async fn a_buried_job_is_kept_and_not_claimed(queue: &Fixture) {
    let id = push_one(queue).await;
    let job = claim_one(queue).await;
    assert!(settle(queue, &job, Verdict::Bury("no good".to_owned()), Some("u1")).await);
    let look = queue.inbox().look(&id).await.unwrap().unwrap();
    assert_eq!((look.state, look.data.is_some(), look.outcome.is_some()), (State::Failed, true, true));
    assert!(claim(queue, 1).await.jobs.is_empty());
    assert_eq!(queue.counts().await.unwrap(), Counts { dead: 1, ..Counts::default() });
}

async fn a_job_that_failed_through_its_users_fault_is_over_and_leaves_no_letter(queue: &Fixture) {
    let id = push_one(queue).await;
    let job = claim_one(queue).await;
    assert!(settle(queue, &job, Verdict::Fail("no good".to_owned()), Some("u1")).await);
    let look = queue.inbox().look(&id).await.unwrap().unwrap();
    assert_eq!((look.state, look.data.is_some(), look.outcome.is_some()), (State::Done, false, true));
    assert!(claim(queue, 1).await.jobs.is_empty());
    assert_eq!(queue.counts().await.unwrap(), Counts::default());
}

async fn a_job_that_waits_for_its_time_is_delayed(queue: &Fixture) {
    let id = push_one(queue).await;
    let job = claim_one(queue).await;
    assert!(settle(queue, &job, Verdict::Retry(LONG, "not now".to_owned()), None).await);
    assert_eq!(state(queue, &id).await, State::Delayed);
}

async fn a_released_job_is_first_and_counts_nothing(queue: &Fixture) {
    let pushed = push(queue, 2).await;
    let job = claim_one(queue).await;
    assert!(settle(queue, &job, Verdict::Release, None).await);
    let again = claim_one(queue).await;
    assert_eq!(
        (again.id.as_str(), again.attempt, again.crashes, again.redelivered),
        (pushed[0].as_str(), 1, 0, true)
    );
}

async fn a_suspect_is_given_alone(queue: &Fixture) {
    let pushed = push(queue, 2).await;
    // A process that is killed is no proof against what it ran.
    assert_eq!(claim(queue, 1).await.jobs.len(), 1);
    rescued(queue).await;
    let second = queue.claim(&new_lease(), room(1, false)).await.unwrap();
    assert_eq!((second.suspect, second.jobs[0].crashes), (false, 1));
    rescued(queue).await;

    let first = queue.claim(&new_lease(), room(10, false)).await.unwrap();
    assert!(first.suspect && first.jobs.is_empty(), "{first:?}");
    let alone = claim(queue, 10).await;
    assert_eq!(ids(&alone), pushed[..1]);
    assert_eq!(alone.jobs[0].crashes, 2);
    assert_eq!(ids(&queue.claim(&new_lease(), room(10, false)).await.unwrap()), pushed[1..]);
}

async fn a_share_of_a_claim_is_of_the_newest_where_many_wait(queue: &Fixture) {
    let pushed = push(queue, 40).await;
    let newest = async |jobs, newest| {
        let room = Room { jobs, newest, alone: false };
        ids(&queue.claim(&new_lease(), room).await.unwrap())
    };
    let mut claimed = newest(16, 2).await;
    claimed[14..].sort_unstable();
    assert_eq!(
        claimed,
        [&pushed[..14], &pushed[38..]].concat(),
        "nobody waits behind all that one has asked for"
    );
    assert_eq!(newest(1, 1).await, pushed[37..38]);
    assert_eq!(newest(3, 0).await, pushed[14..17]);
    assert_eq!(newest(16, 2).await, pushed[17..33], "no more than twice as many wait");
    assert_eq!(newest(1, 1).await, pushed[36..37]);
    assert_eq!(newest(16, 2).await, pushed[33..36]);
}

async fn a_claim_is_bounded_by_bytes(queue: &Fixture) {
    for _ in 0..5 {
        queue.push(vec![b'x'; 1_000_000]).await;
    }
    for expected in [2, 2, 1] {
        let claimed = claim(queue, 10).await.jobs.len();
        assert_eq!(claimed, expected, "1.5 MB are the limit, and the job that passes it is in");
    }
}

async fn an_unknown_job_is_not_found(queue: &Fixture) {
    assert!(queue.inbox().look("no-such-job").await.unwrap().is_none());
}

#[tokio::test]
async fn a_push_to_the_file_wakes() {
    let queue = on_file(LONG).await;
    push_one(&queue).await;
    tokio::time::timeout(PATIENCE, queue.woken()).await.unwrap();
}

#[tokio::test]
async fn opening_the_file_takes_back_what_a_dead_process_held() {
    let dir = tempfile::tempdir().unwrap();
    let open = async || {
        let file = Embedded::open(dir.path()).unwrap();
        Fixture::of(Arc::new(EmbeddedQueue::open(NAME, file, &limits("", LONG)).await.unwrap()), None)
    };
    let queue = open().await;
    let id = push_one(&queue).await;
    assert_eq!(claim_one(&queue).await.id, id);
    drop(queue);
    let job = claim_one(&open().await).await;
    assert_eq!((job.id, job.crashes), (id, 1));
}

#[tokio::test]
async fn a_data_directory_is_held_by_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let _held = Embedded::open(dir.path()).unwrap();
    let error = Embedded::open(dir.path()).err().unwrap().to_string();
    assert!(error.contains("in use by another octavo"), "{error}");
}

/// A queue on Redis, a connection, and what its keys begin with.
struct OnRedis {
    queue: Fixture,
    redis: Connection,
    name: String,
}

async fn with_redis() -> OnRedis {
    let (_, redis) = connect(redis_of(&servers(&[]))).await.unwrap();
    let prefix = unique("it") + ":";
    let limits = limits(&prefix, LONG);
    let log = RedisLog::new(redis.clone(), &limits);
    let queue = ApalisQueue::new(NAME, redis.clone(), &limits, &log);
    OnRedis { queue: Fixture::of(Arc::new(queue), None), redis, name: format!("{prefix}{NAME}") }
}

#[tokio::test]
async fn a_bull_job_with_the_id_of_what_bull_keeps_there_costs_only_itself() {
    for id in ["wait", "active", "delayed", "priority", "completed", "failed", "stalled", "stalled-check"] {
        let queue = on_bull(LONG).await;
        let Producer::Bull(mut redis, prefix) = queue.producer.clone() else { panic!("not of Bull") };
        let mut add = async || {
            let key = format!("{prefix}{id}");
            let _: () = redis.hset(key, "data", "{}").await.unwrap();
            let _: () = redis.lpush(format!("{prefix}wait"), id).await.unwrap();
        };
        if id == "wait" {
            // Bull makes the job, and then cannot add it to the list, nor any other.
            let _: () = redis.hset(format!("{prefix}{id}"), "data", "{}").await.unwrap();
            assert!(claim(&queue, 1).await.jobs.is_empty());
            let pushed = push(&queue, 2).await;
            assert_eq!(ids(&claim(&queue, 10).await), pushed);
            continue;
        }
        let pushed = push(&queue, 2).await;
        add().await;
        let claimed = claim(&queue, 10).await;
        assert_eq!((ids(&claimed), &*claimed.broken), (pushed, &[id.to_owned()][..]), "{id}");
        if id != "active" {
            add().await;
        }
        for job in &claimed.jobs {
            assert!(settle(&queue, job, Verdict::Done, Some("u1")).await, "{id}");
        }
    }
}

#[tokio::test]
async fn of_bull_jobs_options_count_as_bytes_too() {
    let queue = on_bull(LONG).await;
    let Producer::Bull(mut redis, prefix) = queue.producer.clone() else { panic!("not of Bull") };
    for id in push(&queue, 5).await {
        let opts = format!(r#"{{"odd": "{}"}}"#, "x".repeat(1_000_000));
        let _: () = redis.hset(format!("{prefix}{id}"), "opts", opts).await.unwrap();
    }
    assert_eq!(claim(&queue, 10).await.jobs.len(), 2);
}

#[tokio::test]
async fn of_many_traces_the_newest_are_kept_at_once() {
    let queue = on_bull(LONG).await;
    let Producer::Bull(mut redis, prefix) = queue.producer.clone() else { panic!("not of Bull") };
    let key = format!("{prefix}{}", push_one(&queue).await);
    let traces = format!("[{}]", (0..200_000).map(|n| format!(r#""{n}""#)).collect::<Vec<_>>().join(","));
    let _: () = redis.hset(&key, "stacktrace", traces).await.unwrap();
    let job = claim_one(&queue).await;
    let retry = Verdict::Retry(Duration::ZERO, "again".to_owned());
    assert!(settle(&queue, &job, retry, None).await);
    let kept: Vec<String> =
        serde_json::from_str(&redis.hget::<_, _, String>(&key, "stacktrace").await.unwrap()).unwrap();
    assert_eq!((kept.len(), &*kept[0], &*kept[98], &*kept[99]), (100, "199901", "199999", "again"));
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_given_again() {
    for queue in [on_redis(LONG).await, on_bull(LONG).await] {
        let pushed = push(&queue, 3).await;
        let lease = new_lease();
        assert_eq!(ids(&queue.claim(&lease, room(2, false)).await.unwrap()), pushed[..2]);
        let again = queue.claim(&lease, room(2, false)).await.unwrap();
        assert_eq!(ids(&again), pushed[..2]);
        assert!(again.jobs.iter().all(|job| !job.redelivered && job.crashes == 0));
        assert_eq!(ids(&claim(&queue, 2).await), pushed[2..]);
    }
}

#[tokio::test]
async fn long_data_come_whole_beside_empty_ones() {
    let long = |n: usize| vec![b'a' + u8::try_from(n).unwrap(); 20_000 + n];
    let is = |claim: Claim, expected: &[Vec<u8>]| claim.jobs.iter().map(|job| &job.data).eq(expected);
    for queue in [on_redis(LONG).await, on_bull(LONG).await] {
        for data in [long(0), long(1), Vec::new(), b"{}".to_vec(), long(2), long(3)] {
            queue.push(data).await;
        }
        assert!(is(claim(&queue, 1).await, &[long(0)]));
        // Long ones are expected now; a repeated claim, whose answer was lost, gives the same.
        let lease = new_lease();
        for _ in 0..2 {
            let claim = queue.claim(&lease, room(4, true)).await.unwrap();
            assert!(is(claim, &[long(1), Vec::new(), b"{}".to_vec(), long(2)]));
        }
        assert!(is(claim(&queue, 4).await, &[long(3)]));
    }
}

#[tokio::test]
async fn an_id_without_data_and_one_with_broken_metadata_cost_only_themselves() {
    let OnRedis { queue, mut redis, name } = with_redis().await;
    let _: () = redis.rpush(format!("{name}:active"), "ghost").await.unwrap();
    let _: () = redis.rpush(format!("{name}:active"), "odd").await.unwrap();
    let _: () = redis.hset(format!("{name}:data"), "odd", "{}").await.unwrap();
    let _: () = redis.set(format!("{name}:meta:odd"), "no hash").await.unwrap();
    let good = push_one(&queue).await;
    let claim = claim(&queue, 10).await;
    assert_eq!(ids(&claim), [good]);
    assert_eq!(claim.broken, ["ghost", "odd"]);
    assert_eq!(queue.counts().await.unwrap(), Counts { active: 1, dead: 1, ..Counts::default() });
}

#[tokio::test]
async fn metadata_that_a_producer_spoilt_costs_nothing_else() {
    let OnRedis { queue, mut redis, name } = with_redis().await;
    let fields =
        ["attempts", "max_attempts", "octavo:crashes", "octavo:claimed_at", "octavo:lease", "status"];
    let mut spoilt = Vec::new();
    for (field, value) in
        fields.into_iter().flat_map(|field| [(field, "yesterday"), (field, "-1"), (field, "1e300")])
    {
        let id = push_one(&queue).await;
        let _: () = redis.hset(format!("{name}:meta:{id}"), field, value).await.unwrap();
        spoilt.push(id);
    }
    let _: () = redis.rpush(format!("{name}:active"), b"\x63\xff\xfe").await.unwrap();
    let _: () = redis.hset(format!("{name}:data"), b"\x63\xff\xfe", "{}").await.unwrap();
    let mut done = Vec::new();
    let all = async || {
        let claim = claim(&queue, 100).await;
        for job in &claim.jobs {
            let again = job.attempt == 1 && !done.contains(&job.id);
            let verdict =
                if again { Verdict::Retry(Duration::ZERO, "again".to_owned()) } else { Verdict::Done };
            assert!(settle(&queue, job, verdict, None).await);
            done.push(job.id.clone());
        }
        (queue.counts().await.unwrap() == Counts { dead: 1, ..Counts::default() }).then_some(())
    };
    until("all are done, but the one whose id is no text", all).await;
    assert!(spoilt.iter().all(|id| done.contains(id)));
}

#[tokio::test]
async fn a_drained_queue_leaves_only_outcomes_in_redis() {
    let OnRedis { queue, mut redis, name } = with_redis().await;
    push(&queue, 50).await;
    for job in &claim(&queue, 50).await.jobs {
        assert!(settle(&queue, job, Verdict::Done, Some("u1")).await);
    }
    assert!(claim(&queue, 1).await.jobs.is_empty());
    let mut left: Vec<String> = redis.keys(format!("{name}:*")).await.unwrap();
    left.retain(|key| !key.contains(":places"));
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn an_outcome_is_found_for_its_time_at_least_and_then_forgotten_with_all_of_its_time() {
    let OnRedis { queue, mut redis, name } = with_redis().await;
    let [places, old, since] = ["places", "places:old", "places:since"].map(|key| format!("{name}:{key}"));
    let done = async || {
        let id = push_one(&queue).await;
        assert!(settle(&queue, &claim_one(&queue).await, Verdict::Done, Some("u1")).await);
        id
    };
    // As if it were later than the places are written to.
    let later = async |redis: &mut Connection| redis.set::<_, _, ()>(&since, 1).await.unwrap();
    let is_found = async |id: &str| queue.inbox().look(id).await.unwrap().is_some();
    let [first, second, third] = [done().await, done().await, done().await];
    assert!(is_found(&first).await && is_found(&second).await && is_found(&third).await);
    assert!(!redis.exists::<_, bool>(&old).await.unwrap(), "there is no time before");
    later(&mut redis).await;
    let fourth = done().await;
    assert!(is_found(&first).await && is_found(&third).await && is_found(&fourth).await);
    for key in [&places, &old, &since] {
        assert!(redis.pttl::<_, i64>(key).await.unwrap() > 0, "{key} is there for ever");
    }
    later(&mut redis).await;
    let fifth = done().await;
    assert!(!is_found(&first).await && is_found(&fourth).await && is_found(&fifth).await);

    queue.rescue().await.unwrap();
    assert!(is_found(&fourth).await, "what was written to lately stays");
    later(&mut redis).await;
    queue.rescue().await.unwrap();
    assert_eq!(redis.exists::<_, usize>(&[&places, &old]).await.unwrap(), 0);
}

#[tokio::test]
async fn an_outcome_that_is_too_old_is_not_found() {
    let (_, mut redis) = connect(redis_of(&servers(&[]))).await.unwrap();
    let ttl = Duration::from_secs(2);
    let limits = octavo::config::Queue { outcome_ttl: ttl, ..limits(&(unique("it") + ":"), LONG) };
    let log = RedisLog::new(redis.clone(), &limits);
    let queue = Fixture::of(Arc::new(ApalisQueue::new(NAME, redis.clone(), &limits, &log)), None);
    let id = push_one(&queue).await;
    assert!(settle(&queue, &claim_one(&queue).await, Verdict::Done, Some("u1")).await);
    assert!(queue.inbox().look(&id).await.unwrap().is_some());
    // Where it stood is known for longer.
    let places = format!("{}{NAME}:places", limits.prefix);
    assert!(redis.persist::<_, bool>(places).await.unwrap());
    let gone = async || queue.inbox().look(&id).await.unwrap().is_none().then_some(());
    until("it is too old", gone).await;
}

#[tokio::test]
async fn a_push_to_redis_wakes_also_after_the_connection_was_killed() {
    let config = servers(&[]);
    let redis = redis_of(&config);
    let (server, connection) = connect(redis).await.unwrap();
    let limits = limits(&(unique("it") + ":"), LONG);
    let log = RedisLog::new(connection.clone(), &limits);
    let queue = Arc::new(ApalisQueue::new(NAME, connection.clone(), &limits, &log));
    let (news, _news) = tokio::sync::mpsc::unbounded_channel();
    let listening = tokio::spawn(Listener::new(server, [queue.wake()], log.channel(news)).run());
    let queue = Fixture::of(queue, None);
    let woken = async || tokio::time::timeout(PATIENCE, queue.woken()).await.unwrap();

    woken().await; // it wakes once when it begins to listen
    push_one(&queue).await;
    woken().await;

    kill_trackers(connection).await;
    woken().await; // and when it listens again, for something may have come
    while tokio::time::timeout(SHORT, queue.woken()).await.is_ok() {}
    push_one(&queue).await;
    woken().await;
    listening.abort();
}

/// Kills every connection that listens for changes.
async fn kill_trackers(mut redis: Connection) {
    let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut redis).await.unwrap();
    for client in clients
        .lines()
        .filter(|client| client.split(' ').any(|field| field.starts_with("flags=") && field.contains('t')))
    {
        let id = client.split(' ').find_map(|field| field.strip_prefix("id=")).unwrap();
        let _: usize =
            redis::cmd("CLIENT").arg("KILL").arg("ID").arg(id).query_async(&mut redis).await.unwrap();
    }
}

async fn push(queue: &Fixture, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..count {
        ids.push(queue.push(format!(r#"{{"n": {n}}}"#).into_bytes()).await);
    }
    ids
}

async fn push_one(queue: &Fixture) -> String {
    push(queue, 1).await.remove(0)
}

async fn claim(queue: &Fixture, max: usize) -> Claim {
    queue.claim(&new_lease(), room(max, true)).await.unwrap()
}

async fn claim_one(queue: &Fixture) -> Job {
    claim(queue, 1).await.jobs.remove(0)
}

fn ids(claim: &Claim) -> Vec<String> {
    claim.jobs.iter().map(|job| job.id.clone()).collect()
}

async fn state(queue: &Fixture, id: &str) -> State {
    queue.inbox().look(id).await.unwrap().unwrap().state
}

async fn settle(queue: &Fixture, job: &Job, verdict: Verdict, user: Option<&str>) -> bool {
    let outcome = user.map(|user| Outcome::failure(user.to_owned(), "told").unwrap());
    let (id, lease) = (job.id.clone(), Lease::clone(&job.lease));
    let settlement = Settlement { id, lease, verdict, options: job.options, outcome };
    queue.settle(&[settlement]).await.unwrap()[0] != Settled::Lost
}

async fn renew(queue: &Fixture, job: &Job) -> Vec<bool> {
    queue.renew(&[(job.id.clone(), Lease::clone(&job.lease))]).await.unwrap()
}

async fn rescued(queue: &Fixture) {
    until("the lease has run out", async || (queue.rescue().await.unwrap() == 1).then_some(())).await;
}
