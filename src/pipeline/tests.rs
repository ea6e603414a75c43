//! What becomes of jobs, with a domain that does what their data says.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use secrecy::SecretString;
use tempfile::TempDir;

use super::*;
use crate::{
    config::{self, Config, Environment},
    embedded::Embedded,
    queue::{Options, log::EmbeddedLog, new_lease, worker::Process},
};

/// A domain that does what a job's data says, on a store that a probe may find away.
struct Odd {
    away: AtomicBool,
}

impl Domain for Odd {
    type Command = String;

    fn parse(&self, _: &str, data: &[u8]) -> Result<Request<String>, Invalid> {
        let command = String::from_utf8_lossy(data).into_owned();
        assert!(!command.contains("panic in parse"), "as asked");
        let id = Some("u1".to_owned());
        let token = auth().sign("u1", Duration::from_mins(1)).ok();
        let fields = vec![FieldError::new("do", "is wrong")];
        match command.as_str() {
            "wrong" => return Err(Invalid { id, token, fields }),
            "wrong, unproven" => return Err(Invalid { id, token: None, fields }),
            "wrong, of nobody" => return Err(Invalid { id: None, token, fields }),
            _ => {}
        }
        Ok(Request { id: Some("u1".to_owned()), token, command })
    }

    fn encode(&self, command: &String, _: &str, _: &str) -> Result<Vec<u8>, serde_json::Error> {
        Ok(command.clone().into_bytes())
    }

    fn in_order(&self, _: &str) -> bool {
        false
    }

    async fn run(&self, _: &Caller, _: &crate::queue::Origin<'_>, command: String) -> Result<Reply, Failure> {
        match command.as_str() {
            "panic" => panic!("as asked"),
            "retry" => Err(Failure::Retry("not now".to_owned())),
            "sleep" => {
                tokio::time::sleep(Duration::from_mins(1)).await;
                unreachable!("the job has a time limit")
            }
            "no store" => Err(Failure::Away("no answer".to_owned())),
            _ => Ok(Reply::new(&"done").unwrap()),
        }
    }

    async fn probe(&self) -> Result<(), String> {
        if self.away.load(Relaxed) { Err("away".to_owned()) } else { Ok(()) }
    }
}

fn auth() -> Auth {
    Auth::new(&SecretString::from("secret"))
}

fn pipeline(dir: &TempDir, away: bool) -> Pipeline<Odd> {
    let config = Config::load(None, &Environment::new()).unwrap();
    let (auth, metrics) = (Arc::new(auth()), Arc::new(Metrics::new(["odd"])));
    let log = EmbeddedLog::new(Embedded::open(&dir.path().join("data")).unwrap(), &config.queue);
    let (_, notifier) = Notifier::new(
        Arc::clone(&auth),
        Arc::clone(&metrics),
        &config,
        (&["odd"], Arc::new(log)),
        &Process::new(&config.queue),
    );
    let limits = config::Queue { attempts: 3, ..config.queue };
    Pipeline::new(Odd { away: AtomicBool::new(away) }, auth, notifier, metrics, &limits)
}

fn job(data: &str, attempt: u32, options: Options) -> Job {
    let data = data.as_bytes().to_vec();
    let (id, queue, layout, lease) = ("1".to_owned(), "odd", "odd", new_lease());
    let (created_ms, claimed_ms, crashes, redelivered) = (0, 0, 0, false);
    Job { id, queue, layout, data, created_ms, claimed_ms, attempt, crashes, redelivered, options, lease }
}

async fn verdict(data: &str, attempt: u32, options: Options) -> (Verdict, Option<String>) {
    let Handled { verdict, outcome, .. } =
        pipeline(&tempfile::tempdir().unwrap(), false).handle(&job(data, attempt, options)).await;
    (verdict, outcome.map(|outcome| outcome.profile.get().to_owned()))
}

#[tokio::test]
async fn a_panic_costs_one_job_and_its_user_hears() {
    let (verdict, told) = verdict("panic", 1, Options::default()).await;
    assert!(matches!(verdict, Verdict::Bury(_)), "{verdict:?}");
    assert_eq!(told.unwrap(), r#"{"Message":"Error processing job","Status":false}"#);
}

const SPOILT: &str = r#"{"Id": "u1", "do": "panic in parse"}"#;

#[tokio::test]
async fn a_panic_in_the_parser_too_costs_one_job_and_its_user_hears() {
    let (verdict, told) = verdict(SPOILT, 1, Options::default()).await;
    assert!(matches!(verdict, Verdict::Bury(_)), "{verdict:?}");
    assert_eq!(told.unwrap(), r#"{"Message":"Error processing job","Status":false}"#);
}

#[tokio::test]
async fn wrong_data_fails_without_a_letter_unless_nobody_can_be_told() {
    const FAILED: &str = r#"{"Message":"Error processing job","Status":false}"#;
    let (proven, told) = verdict("wrong", 1, Options::default()).await;
    assert!(matches!(proven, Verdict::Fail(reason) if reason == "do is wrong"));
    assert_eq!(told.unwrap(), FAILED);
    let (unproven, told) = verdict("wrong, unproven", 1, Options::default()).await;
    assert!(matches!(unproven, Verdict::Done) && told.unwrap().contains("Session expired"));
    let (of_nobody, told) = verdict("wrong, of nobody", 1, Options::default()).await;
    assert!(matches!(of_nobody, Verdict::Bury(reason) if reason == "do is wrong") && told.is_none());
}

#[tokio::test]
async fn what_has_killed_three_processes_is_buried_before_it_is_parsed() {
    let pipeline = pipeline(&tempfile::tempdir().unwrap(), false);
    for (crashes, hears) in [(3, true), (4, false)] {
        let job = Job { crashes, ..job(SPOILT, 1, Options::default()) };
        let Handled { verdict, outcome, .. } = pipeline.handle(&job).await;
        let Verdict::Bury(reason) = verdict else { panic!("{verdict:?}") };
        assert_eq!(reason, format!("poison: {crashes} processes died while it ran"));
        assert_eq!(
            outcome.is_some(),
            hears,
            "the one that its owner is read from may have killed the fourth"
        );
    }
}

#[tokio::test]
async fn a_retry_ends_with_the_jobs_own_attempts_or_else_the_services() {
    let own = Options { attempts: Some(2), backoff: Some(Duration::from_millis(7)), ..Options::default() };
    let one = Options { attempts: Some(1), ..Options::default() };
    for (attempt, options, retried) in [(1, own, true), (2, own, false), (2, one, true), (3, one, false)] {
        let (verdict, told) = verdict("retry", attempt, options).await;
        assert_eq!(matches!(verdict, Verdict::Retry(..)), retried, "{attempt} {options:?}: {verdict:?}");
        assert_eq!(told.is_none(), retried, "the user hears only when it is over");
        if let (Verdict::Retry(pause, _), Some(backoff)) = (verdict, options.backoff) {
            assert_eq!(pause, backoff);
        }
    }
}

#[tokio::test]
async fn a_job_that_takes_too_long_is_retried_only_as_its_producer_said() {
    let limited =
        |attempts| Options { attempts, timeout: Some(Duration::from_millis(5)), ..Options::default() };
    assert!(matches!(verdict("sleep", 1, limited(Some(2))).await.0, Verdict::Retry(..)));
    assert!(matches!(verdict("sleep", 2, limited(Some(2))).await.0, Verdict::Bury(_)));
    assert!(matches!(verdict("sleep", 1, limited(None)).await.0, Verdict::Bury(_)));
}

#[tokio::test]
async fn a_job_that_an_outage_fails_goes_back_and_only_the_first_to_notice_counts_an_attempt() {
    let (dir, last) = (tempfile::tempdir().unwrap(), job("no store", 3, Options::default()));
    let pipeline = pipeline(&dir, false);
    assert_eq!(pipeline.ready().await, usize::MAX);
    assert!(matches!(pipeline.handle(&last).await.verdict, Verdict::Bury(_)), "the store answers");

    pipeline.domain.away.store(true, Relaxed);
    let first = job("no store", 1, Options::default());
    assert!(matches!(pipeline.handle(&first).await.verdict, Verdict::Retry(..)), "it may be the cause");
    let Handled { verdict, outcome, .. } = pipeline.handle(&last).await;
    assert!(matches!(verdict, Verdict::Release), "{verdict:?}");
    assert!(outcome.is_none(), "it is not over");
}

#[tokio::test]
async fn a_job_of_a_user_who_has_too_many_is_put_off_once_and_then_done() {
    let dir = tempfile::tempdir().unwrap();
    let odd = Pipeline { throttle: Throttle::new(1), ..pipeline(&dir, false) };
    let done = |verdict| matches!(verdict, Verdict::Done);
    for _ in 0..10 {
        assert!(done(odd.handle(&job("well", 1, Options::default())).await.verdict));
    }
    let eleventh = odd.handle(&job("well", 1, Options::default())).await;
    assert!(matches!(eleventh.verdict, Verdict::Postpone(_)) && eleventh.outcome.is_none());
    let again = Job { redelivered: true, ..job("well", 1, Options::default()) };
    assert!(done(odd.handle(&again).await.verdict), "it has had its turn");
}
