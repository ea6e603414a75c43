//! Chunks of the log in a real Redis: outcomes of jobs with any id, of users with any name, come back as they went in.

use std::collections::HashMap;

use octavo::{
    outcome::Outcome,
    queue::{
        Queue, Settled, Settlement, Verdict,
        bull::BullQueue,
        connect,
        log::{OutcomeLog, PAGE, RedisLog, Which},
        new_lease,
    },
};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use redis::AsyncCommands;

use crate::support::{redis_of, room, servers, unique};

const NAME: &str = "Create_Character";

/// What ids and names are made of: everything that the log's chunks, ranges and keys have a meaning for.
const PARTS: [&str; 16] =
    ["\n", ",", ":", "-", "0", "7", "\0", "\u{e9}", "\u{1f600}", " ", "{}", "%d", "_", "a", "3,4:", "\r\n"];

/// Batches of jobs, each settled in one step.
const BATCHES: usize = 12;

/// The most jobs of a batch: more than a chunk holds.
const JOBS: usize = 130;

#[tokio::test]
async fn outcomes_of_any_job_and_user_come_back_in_order_as_they_went_in() {
    let seed = rand::rng().next_u64();
    println!("seed {seed}");
    let random = &mut StdRng::seed_from_u64(seed);
    let config = servers(&[]);
    let (_, mut redis) = connect(redis_of(&config)).await.unwrap();
    let log = RedisLog::new(redis.clone(), &config.queue);
    let queue = BullQueue::new(NAME, redis.clone(), &config.bull, &config.queue, &log);
    let users: Vec<_> = (0..5).map(|n| format!("{n}{}", text(random, 8))).collect();
    let mut told: HashMap<String, Vec<(String, String)>> = HashMap::new();
    for _ in 0..BATCHES {
        let count = random.random_range(1..JOBS);
        for _ in 0..count {
            let id = format!("{}{}", text(random, 12), unique("id"));
            let keys = format!("{}:{NAME}:", config.bull.prefix);
            let _: () = redis.hset(format!("{keys}{id}"), "data", "{}").await.unwrap();
            let _: () = redis.lpush(format!("{keys}wait"), id).await.unwrap();
        }
        let jobs = queue.claim(&new_lease(), room(count, true)).await.unwrap().jobs;
        assert_eq!(jobs.len(), count);
        let mut batch = Vec::new();
        for job in jobs {
            let user = users[random.random_range(0..users.len())].clone();
            let outcome = Outcome::failure(user.clone(), &message(random)).unwrap();
            told.entry(user).or_default().push((job.id.clone(), outcome.profile.get().to_owned()));
            let outcome = Some(outcome);
            let id = job.id;
            let lease = job.lease;
            let options = job.options;
            batch.push(Settlement { id, lease, verdict: Verdict::Done, options, outcome });
        }
        let settled = queue.settle(&batch).await.unwrap();
        assert!(settled.iter().all(|settled| matches!(settled, Settled::Logged(_))), "{settled:?}");
    }
    for (user, told) in &told {
        assert_eq!(read(&log, user, Which::After).await, *told, "all of {user:?}");
        let unheard = |after| Which::Unheard { queue: NAME, after, to: None };
        assert_eq!(read(&log, user, unheard).await, *told, "what {user:?} has not heard");
    }
}

/// All that there is to read, a page at a time.
async fn read<'a>(log: &RedisLog, user: &str, which: impl Fn(i64) -> Which<'a>) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut after = 0;
    loop {
        let page = log.read(user, which(after)).await.unwrap();
        assert!(page.entries.len() <= PAGE);
        let Some(last) = page.entries.last() else { break };
        after = last.seq;
        all.extend(page.entries.into_iter().map(|entry| (entry.job, entry.profile.get().to_owned())));
        if !page.more {
            break;
        }
    }
    all
}

fn text(random: &mut StdRng, most: usize) -> String {
    (0..random.random_range(0..=most)).map(|_| PARTS[random.random_range(0..PARTS.len())]).collect()
}

/// Mostly short; some as long as a chunk.
fn message(random: &mut StdRng) -> String {
    let length = [0, 10, 300, 5_000, 70_000][random.random_range(0_usize..50).saturating_sub(45)];
    format!("{}{}", text(random, 5), "x".repeat(length))
}
