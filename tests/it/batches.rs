//! Batches of settlements in Redis: what is asked of Redis at once for all of them is right for each.

use std::sync::Arc;

use octavo::{
    config::Bull,
    outcome::Outcome,
    queue::{
        Inbox, Job, Lease, Queue, Settled, Settlement, Verdict,
        apalis::ApalisQueue,
        bull::BullQueue,
        connect,
        log::{OutcomeLog, Place, RedisLog, Which},
        new_lease,
    },
};
use redis::AsyncCommands;

use crate::{
    queues::push_bull,
    support::{PATIENCE, limits, redis_of, room, servers, unique},
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
        queue.push(b"{}".to_vec()).await.unwrap();
    }
    settle_in_no_order(&queue, &log).await;
    assert_eq!(queue.counts().await.unwrap().active, 0);
}

#[tokio::test]
async fn jobs_of_bull_are_settled_in_any_order_and_those_of_others_stay_active() {
    let (_, mut redis) = connect(redis_of(&servers(&[]))).await.unwrap();
    let bull = Bull { queues: vec![NAME], prefix: unique("it") };
    let limits = limits(&(unique("it") + ":"), PATIENCE);
    let log = RedisLog::new(redis.clone(), &limits);
    let queue = Arc::new(BullQueue::new(NAME, redis.clone(), &bull, &limits, &log));
    let prefix = format!("{}:{NAME}:", bull.prefix);
    let active = format!("{prefix}active");
    // So many that some of ours are near the end of the list with them, and some are not.
    let others: Vec<_> = (0..70).map(|n| format!("other{n}")).collect();
    let _: () = redis.rpush(&active, &others).await.unwrap();
    for _ in 0..30 {
        push_bull(redis.clone(), &prefix, b"{}".to_vec()).await;
    }
    settle_in_no_order(&*queue, &log).await;
    let left: Vec<String> = redis.lrange(&active, 0, -1).await.unwrap();
    assert_eq!(left, others);
}
