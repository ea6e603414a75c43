//! Batches of settlements in Redis: what is asked of Redis at once for all of them is right for each.

use futures_util::StreamExt;
use octavo::{
    config::{self, Bull},
    outcome::Outcome,
    queue::{
        Connection, Job, Lease, Queue, Settled, Settlement, Verdict,
        apalis::ApalisQueue,
        bull::BullQueue,
        connect,
        log::{OutcomeLog, Place, RedisLog, Which},
        new_lease,
    },
};
use redis::AsyncCommands;
use tokio::time::timeout;

use crate::{
    queues::push_bull,
    support::{PATIENCE, add, limits, redis_of, room, servers, unique},
};

const NAME: &str = "Create_Character";
const USERS: usize = 3;

fn done(job: &Job, user: &str) -> Settlement {
    Settlement {
        id: job.id.clone(),
        lease: Lease::clone(&job.lease),
        verdict: Verdict::Done,
        options: job.options,
        outcome: Some(Outcome::failure(user.to_owned(), "told").unwrap()),
    }
}

fn place(settled: Settled) -> Place {
    match settled {
        Settled::Logged(place) => place,
        other => panic!("{other:?}"),
    }
}

/// Settles 20 of 30 claimed jobs in no order, and the others then; each is in the log of its user, once, behind the one
/// that was settled before.
async fn settle_in_no_order(queue: &dyn Queue, log: &RedisLog) {
    let claim = queue.claim(&new_lease(), room(30, true)).await.unwrap();
    assert_eq!(claim.jobs.len(), 30);
    let mut jobs: Vec<_> = claim.jobs.iter().collect();
    jobs.sort_by_key(|job| job.id.chars().rev().collect::<String>());

    let user = |n: usize| format!("u{}", n % USERS);
    let lost = |job| Settlement { lease: new_lease(), ..done(job, "u0") };
    let mut batch = vec![lost(jobs[3]), lost(jobs[25])];
    batch.extend(jobs[..20].iter().enumerate().map(|(n, job)| done(job, &user(n))));
    batch.push(done(jobs[3], "u0"));
    let mut settled = queue.settle(&batch).await.unwrap();
    assert_eq!(settled.drain(..2).collect::<Vec<_>>(), [Settled::Lost, Settled::Lost], "a lease was lost");
    assert_eq!(settled.pop(), Some(Settled::Lost), "it was settled before");
    let rest: Vec<_> = jobs[20..].iter().enumerate().map(|(n, job)| done(job, &user(20 + n))).collect();
    settled.extend(queue.settle(&rest).await.unwrap());

    let places: Vec<_> = settled.into_iter().map(place).collect();
    for of in 0..USERS {
        let mine: Vec<_> = (of..30).step_by(USERS).collect();
        assert_eq!(places[of].before, 0);
        for pair in mine.windows(2) {
            let (one, next) = (&places[pair[0]], &places[pair[1]]);
            assert!(one.seq < next.seq && next.before == one.seq && next.epoch == one.epoch);
        }
        let page = log.read(&user(of), Which::After(0)).await.unwrap();
        let read: Vec<_> = page.entries.iter().map(|entry| (entry.seq, entry.job.as_str())).collect();
        let told: Vec<_> = mine.iter().map(|n| (places[*n].seq, jobs[*n].id.as_str())).collect();
        assert_eq!(read, told);
        assert_eq!((page.last, &*page.epoch), (places[mine[9]].seq, &*places[of].epoch));
    }
}

#[tokio::test]
async fn jobs_of_apalis_are_settled_in_any_order() {
    let (_, redis) = connect(redis_of(&servers(&[]))).await.unwrap();
    let limits = limits(&(unique("it") + ":"), PATIENCE);
    let log = RedisLog::new(redis.clone(), &limits);
    let queue = ApalisQueue::new(NAME, redis, &limits, &log);
    for _ in 0..30 {
        add(&queue, *b"{}").await;
    }
    settle_in_no_order(&queue, &log).await;
    assert_eq!(queue.counts().await.unwrap().active, 0);
}

/// A queue of Bull, its log, a connection, and what its keys begin with.
async fn on_bull() -> (BullQueue, RedisLog, Connection, String) {
    let (_, redis) = connect(redis_of(&servers(&[]))).await.unwrap();
    let bull = Bull { queues: vec![NAME], prefix: unique("it") };
    let limits = limits(&(unique("it") + ":"), PATIENCE);
    let log = RedisLog::new(redis.clone(), &limits);
    let queue = BullQueue::new(NAME, redis.clone(), &bull, &limits, &log);
    (queue, log, redis, format!("{}:{NAME}:", bull.prefix))
}

#[tokio::test]
async fn jobs_of_bull_are_settled_in_any_order_and_those_of_others_stay_active() {
    let (queue, log, mut redis, prefix) = on_bull().await;
    let active = format!("{prefix}active");
    // So many that some of ours are near the end of the list with them, and some are not.
    let others: Vec<_> = (0..70).map(|n| format!("other{n}")).collect();
    let _: () = redis.rpush(&active, &others).await.unwrap();
    for _ in 0..30 {
        push_bull(redis.clone(), &prefix, b"{}".to_vec()).await;
    }
    settle_in_no_order(&queue, &log).await;
    let left: Vec<String> = redis.lrange(&active, 0, -1).await.unwrap();
    assert_eq!(left, others);
}

#[tokio::test]
async fn jobs_of_bull_that_are_not_kept_leave_nothing_and_one_that_was_removed_by_hand_is_lost() {
    let (queue, _log, mut redis, prefix) = on_bull().await;
    let key = |name: &str| format!("{prefix}{name}");
    for opts in
        [r#"{"removeOnComplete": true}"#, "{}", r#"{"removeOnComplete": true, "debounce": {"id": "d"}}"#]
    {
        for _ in 0..2 {
            let id = push_bull(redis.clone(), &prefix, b"{}".to_vec()).await;
            let _: () = redis.hset(key(&id), "opts", opts).await.unwrap();
        }
    }
    let _: () = redis.hset(key("5"), "deid", "d").await.unwrap();
    let _: () = redis.set(key("de:d"), "5").await.unwrap();
    let jobs = queue.claim(&new_lease(), room(10, true)).await.unwrap().jobs;
    let _: usize = redis.del(key("2")).await.unwrap();
    let _: usize = redis.del(key("3")).await.unwrap();
    let batch: Vec<_> = jobs.iter().map(|job| done(job, "u0")).collect();
    let settled = queue.settle(&batch).await.unwrap();
    assert_eq!(
        settled.iter().map(|settled| *settled == Settled::Lost).collect::<Vec<_>>(),
        [false, true, true, false, false, false]
    );
    let mut left: Vec<String> = redis.keys(key("*")).await.unwrap();
    left.retain(|key| !key.contains(":claim:"));
    left.sort();
    assert_eq!(left, ["4", "completed", "id"].map(key));
}

#[tokio::test]
async fn a_job_of_bull_that_was_added_anew_under_its_own_id_is_left_alone() {
    let (queue, _log, mut redis, prefix) = on_bull().await;
    let key = format!("{prefix}mine");
    let fields = [("data", "{}"), ("timestamp", "1700000000000"), ("opts", r#"{"removeOnComplete": true}"#)];
    let _: () = redis.hset_multiple(&key, &fields).await.unwrap();
    let _: () = redis.lpush(format!("{prefix}wait"), "mine").await.unwrap();
    let jobs = queue.claim(&new_lease(), room(1, true)).await.unwrap().jobs;
    let _: usize = redis.del(&key).await.unwrap();
    let _: () = redis.hset_multiple(&key, &fields).await.unwrap();
    assert_eq!(queue.settle(&[done(&jobs[0], "u0")]).await.unwrap(), [Settled::Lost]);
    assert!(redis.exists::<_, bool>(&key).await.unwrap());
}

#[tokio::test]
async fn a_job_of_bull_without_data_is_claimed_all_the_same_where_long_ones_are_expected() {
    let (queue, _log, mut redis, prefix) = on_bull().await;
    push_bull(redis.clone(), &prefix, vec![b'x'; 20_000]).await;
    let id = push_bull(redis.clone(), &prefix, b"{}".to_vec()).await;
    let removed: usize = redis.hdel(format!("{prefix}{id}"), "data").await.unwrap();
    assert_eq!(removed, 1);
    for expected in [20_000, 0] {
        let jobs = queue.claim(&new_lease(), room(1, true)).await.unwrap().jobs;
        assert_eq!(jobs[0].data.len(), expected);
    }
}

/// More than are published unasked.
const MANY: usize = 30;

#[tokio::test]
async fn events_of_many_jobs_of_bull_reach_who_listens_to_a_channel_or_to_a_pattern() {
    for pattern in [false, true] {
        let (queue, _log, redis, prefix) = on_bull().await;
        let servers = servers(&[]);
        let config::Redis { host, port, .. } = redis_of(&servers);
        let client = redis::Client::open(format!("redis://{host}:{port}")).unwrap();
        let mut listener = client.get_async_pubsub().await.unwrap();
        if pattern {
            listener.psubscribe(format!("{prefix}*")).await.unwrap();
        } else {
            listener.subscribe(&[format!("{prefix}active"), format!("{prefix}completed")]).await.unwrap();
        }
        for _ in 0..MANY {
            push_bull(redis.clone(), &prefix, b"{}".to_vec()).await;
        }
        let jobs = queue.claim(&new_lease(), room(MANY, true)).await.unwrap().jobs;
        assert_eq!(jobs.len(), MANY);
        queue.settle(&jobs.iter().map(|job| done(job, "u0")).collect::<Vec<_>>()).await.unwrap();
        let mut events = listener.on_message();
        for event in ["active", "completed"] {
            for _ in 0..MANY {
                let message = timeout(PATIENCE, events.next()).await.expect("an event is missing").unwrap();
                assert_eq!(message.get_channel_name(), format!("{prefix}{event}"));
            }
        }
    }
}
