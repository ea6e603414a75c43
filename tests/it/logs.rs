//! The log of outcomes, on Redis and in the embedded file: its order, its bounds, and what was heard.

use std::{sync::Arc, time::Duration};

use octavo::{
    config,
    embedded::Embedded,
    outcome::Outcome,
    queue::{
        Inbox, Job, Queue, Settled, Settlement, Verdict,
        apalis::ApalisQueue,
        bull::BullQueue,
        connect,
        embedded::EmbeddedQueue,
        log::{EmbeddedLog, Mark, OutcomeLog, PAGE, PAGE_BYTES, Place, RedisLog, Seq, Which},
        new_lease,
    },
};
use redis::AsyncCommands;
use tempfile::TempDir;

use crate::support::{PATIENCE, add, limits, redis_of, room, servers, unique, until};

const NAME: &str = "Create_Character";

/// A log, a queue that writes to it, and what must live as long as they.
struct Fixture {
    log: Arc<dyn OutcomeLog>,
    queue: Arc<dyn Inbox>,
    _dir: Option<TempDir>,
}

async fn on_redis(limits: &config::Queue) -> Fixture {
    let (_, redis) = connect(redis_of(&servers(&[]))).await.unwrap();
    let log = RedisLog::new(redis.clone(), limits);
    let queue = Arc::new(ApalisQueue::new(NAME, redis, limits, &log));
    Fixture { log: Arc::new(log), queue, _dir: None }
}

async fn on_file(limits: &config::Queue) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let file = Embedded::open(dir.path()).unwrap();
    let queue = Arc::new(EmbeddedQueue::open(NAME, file.clone(), limits).await.unwrap());
    Fixture { log: Arc::new(EmbeddedLog::new(file, limits)), queue, _dir: Some(dir) }
}

async fn on_both(limits: &config::Queue) -> [Fixture; 2] {
    [on_redis(limits).await, on_file(limits).await]
}

fn long() -> config::Queue {
    limits(&(unique("it") + ":"), PATIENCE)
}

impl Fixture {
    /// Has a job of `user` done, and gives its id and the place of its outcome.
    async fn done(&self, user: &str, message: &str) -> (String, Place) {
        self.done_together(user, &[message]).await.remove(0)
    }

    /// Has jobs of `user` done in one step, each with a message of its own.
    async fn done_together(&self, user: &str, messages: &[&str]) -> Vec<(String, Place)> {
        for _ in messages {
            add(&*self.queue, *b"{}").await;
        }
        let jobs = self.queue.claim(&new_lease(), room(messages.len(), true)).await.unwrap().jobs;
        assert_eq!(jobs.len(), messages.len());
        let settlement = |(job, message): (Job, &&str)| Settlement {
            id: job.id,
            lease: job.lease,
            verdict: Verdict::Done,
            options: job.options,
            outcome: Some(Outcome::failure(user.to_owned(), message).unwrap()),
        };
        let batch: Vec<_> = jobs.into_iter().zip(messages).map(settlement).collect();
        let settled = self.queue.settle(&batch).await.unwrap();
        let place = |(settlement, settled): (Settlement, Settled)| match settled {
            Settled::Logged(place) => (settlement.id, place),
            other => panic!("{other:?}"),
        };
        batch.into_iter().zip(settled).map(place).collect()
    }

    async fn after(&self, user: &str, seq: Seq) -> Vec<String> {
        let page = self.log.read(user, Which::After(seq)).await.unwrap();
        page.entries.into_iter().map(|entry| entry.job).collect()
    }

    async fn unheard(&self, user: &str, queue: &str) -> Vec<String> {
        self.unheard_to(user, queue, None).await
    }

    async fn unheard_to(&self, user: &str, queue: &str, to: Option<Seq>) -> Vec<String> {
        let page = self.log.read(user, Which::Unheard { queue, after: 0, to }).await.unwrap();
        page.entries.into_iter().map(|entry| entry.job).collect()
    }

    async fn mark(&self, user: &str, seq: Seq, heard: bool) {
        self.mark_all(user, &[seq], heard).await;
    }

    async fn mark_all(&self, user: &str, seqs: &[Seq], heard: bool) {
        let mark = |&seq| Mark { user: user.into(), queue: NAME.into(), seq, heard };
        self.log.mark(&seqs.iter().map(mark).collect::<Vec<_>>()).await.unwrap();
    }
}

#[tokio::test]
async fn a_log_tells_what_came_after_a_place_in_order() {
    for on in on_both(&long()).await {
        let (first, a) = on.done("u1", "told").await;
        let (second, b) = on.done("u1", "told").await;
        let (other, c) = on.done("u2", "told").await;
        assert_eq!((a.before, b.before, c.before), (0, a.seq, 0));
        assert!(a.seq < b.seq && a.epoch == b.epoch && b.epoch != c.epoch);

        assert_eq!(on.after("u1", 0).await, [first, second.clone()]);
        assert_eq!(on.after("u1", a.seq).await, [second]);
        assert!(on.after("u1", b.seq).await.is_empty());
        assert_eq!(on.after("u2", 0).await, [other]);

        let page = on.log.read("u1", Which::After(a.seq)).await.unwrap();
        assert_eq!((&*page.epoch, page.last, page.floor, page.more), (&*b.epoch, b.seq, 0, false));
        assert_eq!(page.entries[0].profile.get(), r#"{"Message":"told","Status":false}"#);
        assert_eq!((page.entries[0].seq, page.entries[0].queue.as_str()), (b.seq, NAME));
        let none = on.log.read("nobody", Which::After(0)).await.unwrap();
        assert_eq!((none.epoch.as_str(), none.last, none.entries.len()), ("", 0, 0));
    }
}

#[tokio::test]
async fn what_was_heard_is_not_unheard_until_it_turns_out_that_it_was_not() {
    for on in on_both(&long()).await {
        let (first, a) = on.done("u1", "told").await;
        let (second, b) = on.done("u1", "told").await;
        assert_eq!(on.unheard("u1", NAME).await, [first.clone(), second.clone()]);
        assert!(on.unheard("u1", "Read_Character").await.is_empty());
        on.mark("u1", a.seq, true).await;
        assert_eq!(on.unheard("u1", NAME).await, std::slice::from_ref(&second));
        on.mark("u1", b.seq, true).await;
        assert!(on.unheard("u1", NAME).await.is_empty());
        on.mark("u1", a.seq, false).await;
        assert_eq!(on.unheard("u1", NAME).await, std::slice::from_ref(&first));
        assert_eq!(on.after("u1", 0).await, [first, second], "all is kept, whoever has heard it");
        // Of what is not there, nothing is noted.
        on.mark("nobody", 7, false).await;
        on.mark("u1", 7, true).await;
        assert!(on.unheard("nobody", NAME).await.is_empty());
    }
}

#[tokio::test]
async fn of_outcomes_that_came_together_each_is_heard_for_itself() {
    for on in on_both(&long()).await {
        on.done("u1", "before").await;
        let done = on.done_together("u1", &["told"; 9]).await;
        let (jobs, seqs): (Vec<_>, Vec<_>) = done.into_iter().map(|(job, place)| (job, place.seq)).unzip();
        let (after, last) = on.done("u1", "after").await;
        let heard = on.unheard("u1", NAME).await.remove(0);
        assert_eq!(on.unheard_to("u1", NAME, Some(seqs[2])).await, [&[heard], &jobs[..3]].concat());
        on.mark("u1", on.log.read("u1", Which::After(0)).await.unwrap().entries[0].seq, true).await;

        let is_unheard = async |left: &[usize]| {
            let left: Vec<_> = left.iter().map(|n| jobs[*n].clone()).chain([after.clone()]).collect();
            assert_eq!(on.unheard("u1", NAME).await, left);
        };
        is_unheard(&[0, 1, 2, 3, 4, 5, 6, 7, 8]).await;
        on.mark_all("u1", &seqs[3..5], true).await;
        is_unheard(&[0, 1, 2, 5, 6, 7, 8]).await;
        on.mark_all("u1", &seqs[3..5], true).await;
        on.mark_all("u1", &[seqs[0], seqs[8]], true).await;
        is_unheard(&[1, 2, 5, 6, 7]).await;
        // What was heard in part, and what was not heard already.
        on.mark_all("u1", &seqs[2..6], false).await;
        is_unheard(&[1, 2, 3, 4, 5, 6, 7]).await;
        on.mark_all("u1", &seqs, true).await;
        is_unheard(&[]).await;
        on.mark_all("u1", &seqs[7..], false).await;
        is_unheard(&[7, 8]).await;
        on.mark_all("u1", &[&seqs[7..], &[last.seq]].concat(), true).await;
        assert!(on.unheard("u1", NAME).await.is_empty());
    }
}

#[tokio::test]
async fn what_is_left_of_a_range_goes_in_its_time() {
    let limits = long();
    let (on, (_, mut redis)) = (on_redis(&limits).await, connect(redis_of(&servers(&[]))).await.unwrap());
    let done = on.done_together("u1", &["told"; 5]).await;
    let unheard = format!("{}octavo:unheard:{NAME}:u1", limits.prefix);
    let left = redis.pttl::<_, i64>(&unheard).await.unwrap();
    for (n, ranges) in [(2, 2), (0, 2), (4, 2), (1, 1)] {
        on.mark("u1", done[n].1.seq, true).await;
        assert_eq!(redis.zcard::<_, usize>(&unheard).await.unwrap(), ranges);
        let still = redis.pttl::<_, i64>(&unheard).await.unwrap();
        assert!(still > 0 && still <= left, "{still} of {left} ms");
    }
}

#[tokio::test]
async fn outcomes_that_came_together_are_read_from_any_of_them_on() {
    let (small, large) = ("x".repeat(10), "x".repeat(7000));
    for large_ones in [0, 9] {
        let size = |n| if large_ones > 0 && n % large_ones == 7 { &*large } else { &*small };
        let messages: Vec<_> = (0..250).map(size).collect();
        for on in on_both(&config::Queue { outcome_bytes: 10_000_000, ..long() }).await {
            let (jobs, places): (Vec<_>, Vec<_>) =
                on.done_together("u1", &messages).await.into_iter().unzip();
            let mut before = 0;
            for place in &places {
                assert!(place.before == before && place.seq > before);
                before = place.seq;
            }
            for n in [0, 6, 7, 98, 99, 100, 200, 248, 249] {
                let page = on.log.read("u1", Which::After(places[n].seq)).await.unwrap();
                let read: Vec<_> = page.entries.iter().map(|entry| entry.job.clone()).collect();
                assert_eq!(read, jobs[n + 1..][..read.len()]);
                assert_eq!((read.len(), page.more), (PAGE.min(249 - n), n + 1 + PAGE < 250), "after {n}");
                for (entry, message) in page.entries.iter().zip(&messages[n + 1..]) {
                    assert_eq!(entry.profile.get(), format!(r#"{{"Message":"{message}","Status":false}}"#));
                }
            }
        }
    }
}

#[tokio::test]
async fn a_hundred_that_came_together_are_one_member_in_redis() {
    let limits = config::Queue { outcome_bytes: 10_000_000, ..long() };
    let (on, (_, mut redis)) = (on_redis(&limits).await, connect(redis_of(&servers(&[]))).await.unwrap());
    for (together, members) in [(100, 1), (101, 2), (250, 3)] {
        let user = format!("u{together}");
        on.done_together(&user, &vec!["told"; together]).await;
        let key = |of: &str| format!("{}octavo:{of}:{user}", limits.prefix);
        assert_eq!(redis.zcard::<_, usize>(key("log")).await.unwrap(), members, "{together}");
        assert_eq!(redis.zcard::<_, usize>(key(&format!("unheard:{NAME}"))).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_range_that_nothing_is_left_of_hides_nothing() {
    let limits = config::Queue { outcome_bytes: 10_000_000, ..long() };
    let (on, (_, mut redis)) = (on_redis(&limits).await, connect(redis_of(&servers(&[]))).await.unwrap());
    let (_, first) = on.done("u1", "told").await;
    let unheard = format!("{}octavo:unheard:{NAME}:u1", limits.prefix);
    for seq in first.seq + 1..=first.seq + 2 * Seq::try_from(PAGE).unwrap() {
        let _: () = redis.zadd(&unheard, format!("{seq}-{seq}"), seq).await.unwrap();
    }
    let (last, _) = on.done("u1", "told").await;
    assert_eq!(on.unheard("u1", NAME).await.last(), Some(&last));
}

#[tokio::test]
async fn of_many_that_came_together_the_newest_stay_as_far_as_they_fit() {
    for on in on_both(&long()).await {
        let messages = vec!["x".repeat(2_000); 70];
        let messages: Vec<_> = messages.iter().map(|message| &**message).collect();
        let (jobs, places): (Vec<_>, Vec<_>) = on.done_together("u1", &messages).await.into_iter().unzip();
        let page = on.log.read("u1", Which::After(0)).await.unwrap();
        let kept: Vec<_> = page.entries.iter().map(|entry| entry.job.clone()).collect();
        assert!((40..50).contains(&kept.len()), "{} of 2 kB fit into 100 kB", kept.len());
        assert_eq!(kept, jobs[70 - kept.len()..]);
        assert_eq!((page.floor, page.last), (places[69 - kept.len()].seq, places[69].seq));
        assert_eq!(on.unheard("u1", NAME).await, kept);
    }
}

#[tokio::test]
async fn the_oldest_go_when_a_log_has_too_many_bytes() {
    for on in on_both(&long()).await {
        let (mut jobs, mut places) = (Vec::new(), Vec::new());
        for _ in 0..7 {
            let (job, place) = on.done("u1", &"x".repeat(20_000)).await;
            jobs.push(job);
            places.push(place);
        }
        assert_eq!(on.after("u1", 0).await, jobs[3..], "4 of 20 kB fit into 100 kB");
        assert_eq!(on.unheard("u1", NAME).await, jobs[3..]);
        let page = on.log.read("u1", Which::After(0)).await.unwrap();
        assert_eq!((page.floor, page.last), (places[2].seq, places[6].seq));

        let (huge, _) = on.done("u1", &"x".repeat(200_000)).await;
        let page = on.log.read("u1", Which::After(places[6].seq)).await.unwrap();
        assert_eq!(page.entries[0].job, huge);
        assert_eq!(page.entries[0].profile.get(), r#"{"Message":"resync","Status":true}"#);
    }
}

#[tokio::test]
async fn the_oldest_large_ones_of_all_users_go_when_they_have_too_many_bytes_together() {
    let limits = config::Queue { outcome_bytes: 500_000, outcome_total_bytes: 500_000, ..long() };
    let on = on_redis(&limits).await;
    let large = "x".repeat(90_000);
    on.done("small", "told").await;
    let mut places = Vec::new();
    for user in ["a", "b", "c", "d", "e", "f", "g"] {
        on.done(user, "told before").await;
        places.push(on.done(user, &large).await.1);
        on.done(user, "told after").await;
    }
    for (n, user) in ["a", "b", "c", "d", "e", "f", "g"].into_iter().enumerate() {
        let page = on.log.read(user, Which::After(0)).await.unwrap();
        let (floor, left) = if n < 2 { (places[n].seq, 1) } else { (0, 3) };
        assert_eq!((page.floor, page.entries.len()), (floor, left), "{user}");
        assert_eq!(on.unheard(user, NAME).await.len(), left, "{user}");
        assert_eq!(page.epoch, places[n].epoch.to_string());
    }
    assert_eq!(on.after("small", 0).await.len(), 1);
    // What went counts no more.
    on.done("a", &large).await;
    assert_eq!(on.log.read("c", Which::After(0)).await.unwrap().entries.len(), 1);
    assert_eq!(on.log.read("d", Which::After(0)).await.unwrap().entries.len(), 3);
}

#[tokio::test]
async fn many_small_ones_go_for_a_large_one() {
    for on in on_both(&long()).await {
        for _ in 0..400 {
            on.done("u1", &"x".repeat(100)).await;
        }
        let (large, place) = on.done("u1", &"x".repeat(90_000)).await;
        let floor = on.log.read("u1", Which::After(0)).await.unwrap().floor;
        let kept = on.after("u1", floor).await;
        assert!(kept.len() < 100, "{} of 100 bytes fit in beside 90 kB", kept.len());
        assert_eq!(on.after("u1", place.before).await, [large]);
    }
}

#[tokio::test]
async fn what_is_too_old_is_not_told_and_goes() {
    let short = config::Queue { outcome_ttl: Duration::from_secs(2), ..long() };
    for on in on_both(&short).await {
        let (old, a) = on.done("u1", "told").await;
        assert_eq!(on.after("u1", 0).await, [old]);
        until("it is too old", async || on.after("u1", 0).await.is_empty().then_some(())).await;
        assert!(on.unheard("u1", NAME).await.is_empty());
        on.queue.rescue().await.unwrap();
        let (new, b) = on.done("u1", "told").await;
        assert!(b.seq > a.seq);
        assert_eq!(on.after("u1", 0).await, [new]);
        // Either it is another log, or it says what was dropped.
        let page = on.log.read("u1", Which::After(0)).await.unwrap();
        assert!(page.epoch != *a.epoch || page.floor >= a.seq, "{page:?}");
    }
}

#[tokio::test]
async fn a_long_log_is_read_in_pages() {
    let (small, large) = ("told".to_owned(), "x".repeat(20_000));
    for on in on_both(&config::Queue { outcome_bytes: 10_000_000, ..long() }).await {
        // One by one, and many together, of which a page ends in the middle.
        let mut jobs = Vec::new();
        for _ in 0..PAGE + 5 {
            jobs.push(on.done("u1", &small).await.0);
        }
        let together = on.done_together("u1", &[&*large; 70]).await;
        jobs.extend(together.into_iter().map(|(job, _)| job));
        for unheard in [false, true] {
            let (mut after, mut read, mut pages) = (0, Vec::new(), 0);
            loop {
                let which = if unheard {
                    Which::Unheard { queue: NAME, after, to: None }
                } else {
                    Which::After(after)
                };
                let page = on.log.read("u1", which).await.unwrap();
                let bytes: usize = page.entries.iter().map(|entry| entry.profile.get().len()).sum();
                assert!(page.entries.len() <= PAGE && bytes < PAGE_BYTES + large.len() + 100, "{bytes}");
                after = page.entries.last().map_or(after, |entry| entry.seq);
                read.extend(page.entries.into_iter().map(|entry| entry.job));
                pages += 1;
                if !page.more {
                    break;
                }
            }
            assert_eq!(read, jobs);
            assert_eq!(pages, 3, "100 small ones, 5 and 1 MB of large ones, the rest");
        }
    }
}

#[tokio::test]
async fn outcomes_of_jobs_with_any_ids_are_read_as_they_were_told() {
    let config = servers(&[]);
    let (_, mut redis) = connect(redis_of(&config)).await.unwrap();
    let log = RedisLog::new(redis.clone(), &config.queue);
    let queue = BullQueue::new(NAME, redis.clone(), &config.bull, &config.queue, &log);
    let ids = ["9", "10", "a\nb", "3,4:", "\u{e9}", "\n", "1 2", "x"];
    for id in ids {
        let keys = format!("{}:{NAME}:", config.bull.prefix);
        let _: () = redis.hset(format!("{keys}{id}"), "data", "{}").await.unwrap();
        let _: () = redis.lpush(format!("{keys}wait"), id).await.unwrap();
    }
    let jobs = queue.claim(&new_lease(), room(ids.len(), true)).await.unwrap().jobs;
    let settlement = |(n, job): (usize, Job)| Settlement {
        id: job.id,
        lease: job.lease,
        verdict: Verdict::Done,
        options: job.options,
        outcome: Some(Outcome::failure("u1".to_owned(), &"\n1,2:".repeat(n)).unwrap()),
    };
    let batch: Vec<_> = jobs.into_iter().enumerate().map(settlement).collect();
    queue.settle(&batch).await.unwrap();
    let told = |settlement: &Settlement| settlement.outcome.as_ref().unwrap().profile.get().to_owned();
    let page = log.read("u1", Which::After(0)).await.unwrap();
    let read: Vec<_> =
        page.entries.into_iter().map(|entry| (entry.job, entry.profile.get().to_owned())).collect();
    assert_eq!(read, batch.iter().map(|one| (one.id.clone(), told(one))).collect::<Vec<_>>());
    assert_eq!(read.iter().map(|(id, _)| &**id).collect::<Vec<_>>(), ids);
}
