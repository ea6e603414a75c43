//! The course of one job: parse, prove who asks, run, tell the user, settle.

#[cfg(debug_assertions)]
mod abort;
mod breaker;
mod domain;
mod event;
mod intake;
mod redrive;
mod renewal;
#[cfg(test)]
mod tests;
mod throttle;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::FutureExt;

pub use domain::{Domain, FieldError, Invalid, Request, brief};
pub use intake::{Intake, Rejected};
pub use redrive::{Redrive, Redriven};

use breaker::{Breaker, Found};
use event::Event;
use throttle::Throttle;

use crate::{
    auth::{Auth, Caller},
    backoff,
    budget::Share,
    heavy,
    metrics::Metrics,
    notifier::Notifier,
    outcome::{FAILED, Failure, Outcome, Refusal, Reply},
    queue::{
        Job, Settled, Settlement, Verdict,
        handler::{Handled, Handler, Report},
    },
};

/// Takes the jobs of one domain through their course.
pub struct Pipeline<D> {
    domain: D,
    breaker: Breaker,
    throttle: Throttle,
    auth: Arc<Auth>,
    notifier: Notifier,
    metrics: Arc<Metrics>,
    attempts: u32,
    max_crashes: u32,
}

impl<D: Domain> Pipeline<D> {
    /// The pipeline for jobs of `domain`.
    #[must_use]
    pub fn new(
        domain: D,
        auth: Arc<Auth>,
        notifier: Notifier,
        metrics: Arc<Metrics>,
        config: &crate::config::Queue,
    ) -> Self {
        let (attempts, max_crashes) = (config.attempts, config.max_crashes);
        let throttle = Throttle::new(config.quota.run_per_second);
        Self { domain, breaker: Breaker::default(), throttle, auth, notifier, metrics, attempts, max_crashes }
    }

    /// Runs a job once; also returns its user, if known. A panic, in parsing too, is this job's failure and nobody else's.
    async fn attempt(&self, job: &Job) -> (Option<String>, Result<Reply, Failure>) {
        if job.crashes >= self.max_crashes {
            let reason = format!("poison: {} processes died while it ran", job.crashes);
            // Its domain's parser may be what kills; after one more crash, nothing of the data is read.
            let user = if job.crashes == self.max_crashes { owner(&job.data) } else { None };
            return (user, Err(Failure::Abort(reason)));
        }
        #[cfg(debug_assertions)]
        abort::if_asked(&job.data);
        let parse = || catch_unwind(AssertUnwindSafe(|| self.domain.parse(job.queue, &job.data)));
        let parsed = heavy::beside(job.data.len(), parse).await;
        let (user, token, command) = match parsed {
            Ok(Ok(Request { id, token, command })) => (id, token, Ok(command)),
            Ok(Err(invalid)) => {
                let reason = invalid.to_string();
                (invalid.id, invalid.token, Err(reason))
            }
            Err(_) => return (owner(&job.data), Err(panicked())),
        };
        let Some(user) = user else {
            // Nobody can be told: that is for an operator to see.
            let reason = command.err().unwrap_or_else(|| "Id is missing".to_owned());
            return (None, Err(Failure::Abort(reason)));
        };
        // Who asks is checked before what is asked: a job that proves nothing leaves no dead letter.
        let result = match (self.auth.verify_for(&user, token.as_deref()), command) {
            (Ok(caller), Ok(command)) => match self.throttle.put_off(&caller, job) {
                Some(wait) => Err(Failure::Postponed(wait)),
                None => self.run(&caller, job, command).await,
            },
            (Ok(_), Err(reason)) => Err(Failure::Refused(Refusal::Wrong(reason))),
            (Err(error), _) => Err(Failure::Refused(Refusal::Session(error))),
        };
        (Some(user), result)
    }

    /// Runs a command, within the time that its producer allows.
    async fn run(&self, caller: &Caller, job: &Job, command: D::Command) -> Result<Reply, Failure> {
        let origin = job.origin();
        let run = AssertUnwindSafe(self.domain.run(caller, &origin, command)).catch_unwind();
        let ran = match job.options.timeout {
            None => run.await,
            Some(timeout) => match tokio::time::timeout(timeout, run).await {
                Ok(ran) => ran,
                Err(_) => return Err(timed_out(job, timeout)),
            },
        };
        self.weigh(ran.unwrap_or_else(|_| Err(panicked()))).await
    }

    /// Checks whether what seems to be away really is. If it is not, or if this job was the first to notice and so may be
    /// the cause, an attempt is counted: so no job can fail for ever.
    async fn weigh(&self, result: Result<Reply, Failure>) -> Result<Reply, Failure> {
        match result {
            Err(Failure::Away(reason)) => match self.breaker.failed(self.domain.probe()).await {
                Found::There | Found::JustLost => Err(Failure::Retry(reason)),
                Found::Away => Err(Failure::Away(reason)),
            },
            Ok(_) | Err(Failure::Refused(_)) => {
                self.breaker.worked();
                result
            }
            Err(Failure::Retry(_) | Failure::Abort(_) | Failure::Postponed(_)) => result,
        }
    }

    /// Decides what becomes of the job, and what the user hears.
    fn judge(&self, job: &Job, user: Option<String>, result: Result<Reply, Failure>) -> Judged {
        let told = |outcome: fn(String, &str) -> Result<Outcome, serde_json::Error>, message: &str| {
            user.clone().and_then(|user| outcome(user, message).ok())
        };
        match result {
            Ok(mut reply) => {
                let share = reply.take_share();
                let outcome = Some(Outcome::success(user.unwrap_or_default(), reply));
                Judged { verdict: Verdict::Done, outcome, word: "done", reason: None, share }
            }
            Err(Failure::Refused(refusal)) => {
                let outcome = told(Outcome::failure, refusal.message());
                let reason = refusal.to_string();
                let verdict = match refusal {
                    Refusal::Wrong(_) => Verdict::Fail(reason.clone()),
                    Refusal::Session(_) | Refusal::NotFound(_) => Verdict::Done,
                };
                Judged { verdict, outcome, word: "refused", reason: Some(reason), share: None }
            }
            Err(Failure::Retry(reason)) if job.attempt < self.attempts_of(job) => Judged {
                verdict: Verdict::Retry(
                    job.options.backoff.unwrap_or_else(|| backoff::pause(job.attempt)),
                    reason.clone(),
                ),
                outcome: None,
                word: "retry",
                reason: Some(reason),
                share: None,
            },
            Err(Failure::Away(reason)) => Judged {
                verdict: Verdict::Release,
                outcome: None,
                word: "released",
                reason: Some(reason),
                share: None,
            },
            Err(Failure::Postponed(pause)) => {
                let verdict = Verdict::Postpone(pause);
                Judged { verdict, outcome: None, word: "postponed", reason: None, share: None }
            }
            Err(Failure::Retry(reason) | Failure::Abort(reason)) => {
                Judged::buried(reason, told(Outcome::failure, FAILED))
            }
        }
    }

    fn attempts_of(&self, job: &Job) -> u32 {
        job.options.attempts.filter(|attempts| *attempts > 1).unwrap_or(self.attempts)
    }
}

fn panicked() -> Failure {
    Failure::Abort("the service panicked".to_owned())
}

/// Whose job `data` says it is, read without its domain.
pub(crate) fn owner(data: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Owned {
        #[serde(rename = "Id")]
        id: String,
    }
    serde_json::from_slice(data).ok().map(|Owned { id }| id)
}

/// A job that took longer than its producer allows is retried only as often as its producer said.
fn timed_out(job: &Job, timeout: Duration) -> Failure {
    // In Bull's words, since only its layout has timeouts: producers see them as the reason of the failed job.
    let reason = format!("Promise timed out after {} milliseconds", timeout.as_millis());
    if job.attempt < job.options.attempts.unwrap_or(1) {
        Failure::Retry(reason)
    } else {
        Failure::Abort(reason)
    }
}

/// What becomes of a job.
struct Judged {
    verdict: Verdict,
    outcome: Option<Outcome>,
    word: &'static str,
    reason: Option<String>,
    /// The memory set aside for the outcome.
    share: Option<Share>,
}

impl Judged {
    fn buried(reason: String, outcome: Option<Outcome>) -> Self {
        let verdict = Verdict::Bury(reason.clone());
        Self { verdict, outcome, word: "buried", reason: Some(reason), share: None }
    }
}

#[async_trait]
impl<D: Domain> Handler for Pipeline<D> {
    async fn ready(&self) -> usize {
        self.breaker.ready(|| self.domain.probe()).await
    }

    async fn available(&self) -> bool {
        self.breaker.available(self.domain.probe()).await
    }

    fn in_order(&self, queue: &str) -> bool {
        self.domain.in_order(queue)
    }

    async fn handle(&self, job: &Job) -> Handled {
        let started = Instant::now();
        let (user, result) = self.attempt(job).await;
        let Judged { verdict, outcome, word, reason, share } = self.judge(job, user.clone(), result);
        let report = Report { user, outcome: word, reason, took: started.elapsed() };
        Handled { verdict, outcome, report, share }
    }

    fn settled(&self, queue: &'static str, settlement: &Settlement, settled: &Settled) {
        let Some(outcome) = &settlement.outcome else { return };
        match settled {
            Settled::Logged(place) => self.notifier.logged(queue, &settlement.id, outcome, place),
            Settled::Unsure => self.notifier.grown(&settlement.id, outcome),
            Settled::Lost | Settled::Quietly => {}
        }
    }

    fn late(&self, queue: &'static str, settlement: &Settlement) {
        if let Some(outcome) = &settlement.outcome {
            self.notifier.late(queue, &settlement.id, outcome);
        }
    }

    fn ended(&self, settled: &Settled, job: &Job, report: Report) {
        let Report { user, outcome, reason, took } = report;
        let outcome = if *settled == Settled::Lost { "lost" } else { outcome };
        self.metrics.job(job.queue, outcome, job.waited(), took);
        let event = Event { job, user: user.as_deref(), outcome, reason: reason.as_deref(), took };
        event.log();
    }
}
