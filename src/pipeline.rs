//! The way of one job: parse, prove who asks, run, tell the user, settle. And the door through which jobs come in.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};

use crate::{
    auth::{Auth, Caller},
    backoff,
    metrics::Metrics,
    notifier::Notifier,
    outcome::{FAILED, Failure, Outcome, Refusal, Reply},
    queue::{
        Job, Origin, Verdict,
        worker::{Handled, Handler, Report},
    },
};

/// One business domain: its commands, and how they are done. It knows nothing of queues, sockets or HTTP.
pub trait Domain: Send + Sync + 'static {
    /// What a job can ask for.
    type Command: Send;

    /// The queues of the domain.
    fn queues(&self) -> &'static [&'static str];

    /// Parses the data of a job of `queue`.
    ///
    /// # Errors
    /// All wrong fields.
    fn parse(&self, queue: &str, data: &[u8]) -> Result<Request<Self::Command>, Invalid>;

    /// Writes a command as the data of a job of `user`, so that [`Domain::parse`] reads it again.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    fn encode(&self, command: &Self::Command, user: &str, token: &str) -> Result<Vec<u8>, serde_json::Error>;

    /// Runs a command. Its effect must be the same when it is run twice for the same job.
    ///
    /// # Errors
    /// A [`Failure`], which says what the queue does next.
    fn run(
        &self,
        caller: &Caller,
        origin: &Origin<'_>,
        command: Self::Command,
    ) -> impl Future<Output = Result<Reply, Failure>> + Send;
}

/// The data of a job, parsed. Nothing is proven yet.
#[derive(Debug)]
pub struct Request<C> {
    /// Whose job it says it is.
    pub id: Option<String>,
    /// The token that should prove it.
    pub token: Option<String>,
    /// What it asks for.
    pub command: C,
}

/// The data of a job that cannot be parsed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", fields.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct Invalid {
    /// Whose job it says it is, when that can be read.
    pub id: Option<String>,
    /// Every wrong field.
    pub fields: Vec<FieldError>,
}

impl Invalid {
    /// The data as a whole is wrong.
    #[must_use]
    pub fn data(message: impl Into<String>) -> Self {
        Self { id: None, fields: vec![FieldError::new("data", message)] }
    }
}

/// One wrong field, and what is wrong with it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{field} {message}")]
pub struct FieldError {
    /// The field's name.
    pub field: String,
    /// What is wrong, as the rest of a sentence that begins with the name.
    pub message: String,
}

impl FieldError {
    /// `field` and what is wrong with it.
    #[must_use]
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// Jobs of one domain on their way.
pub struct Pipeline<D> {
    domain: D,
    auth: Arc<Auth>,
    notifier: Notifier,
    metrics: Arc<Metrics>,
    attempts: u32,
    max_crashes: u32,
}

impl<D: Domain> Pipeline<D> {
    /// The way for jobs of `domain`.
    #[must_use]
    pub fn new(
        domain: D,
        auth: Arc<Auth>,
        notifier: Notifier,
        metrics: Arc<Metrics>,
        config: &crate::config::Queue,
    ) -> Self {
        Self { domain, auth, notifier, metrics, attempts: config.attempts, max_crashes: config.max_crashes }
    }

    /// Runs a job once, and gives its user too, when known.
    async fn attempt(&self, job: &Job) -> (Option<String>, Result<Reply, Failure>) {
        let request = match self.domain.parse(job.queue, &job.data) {
            Ok(request) => request,
            Err(invalid) => {
                let reason = invalid.to_string();
                return (invalid.id, Err(Failure::Abort(reason)));
            }
        };
        let Some(user) = request.id else {
            return (None, Err(Failure::Abort("Id is missing".to_owned())));
        };
        if job.crashes >= self.max_crashes {
            let reason = format!("poison: {} processes died while it ran", job.crashes);
            return (Some(user), Err(Failure::Abort(reason)));
        }
        let result = match self.auth.verify_for(&user, request.token.as_deref()) {
            Ok(caller) => self.run(&caller, job, request.command).await,
            Err(error) => Err(Failure::Refused(Refusal::Session(error))),
        };
        (Some(user), result)
    }

    /// Runs a command; a panic is this job's failure and nobody else's.
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
        ran.unwrap_or_else(|_| Err(Failure::Abort("the service panicked".to_owned())))
    }

    /// Decides what becomes of the job, and what the user hears.
    fn judge(&self, job: &Job, user: Option<String>, result: Result<Reply, Failure>) -> Judged {
        let told = |outcome: fn(String, &str) -> Result<Outcome, serde_json::Error>, message: &str| {
            user.clone().and_then(|user| outcome(user, message).ok())
        };
        match result {
            Ok(reply) => match Outcome::success(user.unwrap_or_default(), &reply) {
                Ok(outcome) => {
                    Judged { verdict: Verdict::Done, outcome: Some(outcome), word: "done", reason: None }
                }
                Err(error) => Judged::buried(error.to_string(), None),
            },
            Err(Failure::Refused(refusal)) => Judged {
                verdict: Verdict::Done,
                outcome: told(Outcome::failure, refusal.message()),
                word: "refused",
                reason: Some(refusal.to_string()),
            },
            Err(Failure::Retry(reason)) if job.attempt < self.attempts_of(job) => Judged {
                verdict: Verdict::Retry(
                    job.options.backoff.unwrap_or_else(|| backoff::pause(job.attempt)),
                    reason.clone(),
                ),
                outcome: None,
                word: "retry",
                reason: Some(reason),
            },
            Err(Failure::Retry(reason) | Failure::Abort(reason)) => {
                Judged::buried(reason, told(Outcome::failure, FAILED))
            }
        }
    }

    fn attempts_of(&self, job: &Job) -> u32 {
        job.options.attempts.filter(|attempts| *attempts > 1).unwrap_or(self.attempts)
    }
}

/// A job that took longer than its producer allows is tried again only as often as its producer said.
fn timed_out(job: &Job, timeout: Duration) -> Failure {
    let reason = format!("timed out after {} ms", timeout.as_millis());
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
}

impl Judged {
    fn buried(reason: String, outcome: Option<Outcome>) -> Self {
        Self { verdict: Verdict::Bury(reason.clone()), outcome, word: "buried", reason: Some(reason) }
    }
}

#[async_trait]
impl<D: Domain> Handler for Pipeline<D> {
    async fn handle(&self, job: &Job) -> Handled {
        let started = Instant::now();
        let (user, result) = self.attempt(job).await;
        let Judged { verdict, outcome, word, reason } = self.judge(job, user.clone(), result);
        if let Some(outcome) = &outcome {
            self.notifier.emit(job, outcome).await;
        }
        let report = Report { user, outcome: word, reason, took: started.elapsed() };
        Handled { verdict, outcome, report }
    }

    fn settled(&self, settled: bool, job: &Job, report: Report) {
        let Report { user, outcome, reason, took } = report;
        let outcome = if settled { outcome } else { "lost" };
        self.metrics.job(job.queue, outcome, took);
        let event = Event { job, user: user.as_deref(), outcome, reason: reason.as_deref(), took };
        event.log();
    }
}

/// The one log event of a job.
struct Event<'a> {
    job: &'a Job,
    user: Option<&'a str>,
    outcome: &'a str,
    reason: Option<&'a str>,
    took: Duration,
}

impl Event<'_> {
    fn log(&self) {
        let Self { job, user, outcome, reason, took } = self;
        let took_ms = took.as_secs_f64() * 1000.0;
        let waited_ms = (job.claimed_ms - job.created_ms).max(0);
        macro_rules! event {
            ($level:ident) => {
                tracing::$level!(
                    job = job.id,
                    queue = job.queue,
                    layout = job.layout,
                    user,
                    attempt = job.attempt,
                    outcome,
                    reason,
                    waited_ms,
                    took_ms,
                    "job"
                )
            };
        }
        match *outcome {
            "done" | "refused" => event!(info),
            _ => event!(warn),
        }
    }
}

/// The door: checks what a producer wants to enqueue through us.
pub trait Intake: Send + Sync {
    /// Checks `data` for `queue` as a job of `caller`, and gives the data to enqueue. `Id` may be left out.
    ///
    /// # Errors
    /// A [`Rejected`] when it is somebody else's, or wrong.
    fn admit(&self, queue: &str, data: &[u8], caller: &Caller, token: &str) -> Result<Vec<u8>, Rejected>;

    /// Whose job `data` says it is.
    fn owner(&self, queue: &str, data: &[u8]) -> Option<String>;
}

/// Why a job was not let in.
#[derive(Debug)]
pub enum Rejected {
    /// Its `Id` is not the caller's.
    AnotherUser,
    /// Its data is wrong.
    Invalid(Invalid),
}

impl<D: Domain> Intake for Pipeline<D> {
    fn admit(&self, queue: &str, data: &[u8], caller: &Caller, token: &str) -> Result<Vec<u8>, Rejected> {
        let request = self.domain.parse(queue, data).map_err(|invalid| match &invalid.id {
            Some(id) if id != caller.user() => Rejected::AnotherUser,
            _ => Rejected::Invalid(invalid),
        })?;
        if request.id.is_some_and(|id| id != caller.user()) {
            return Err(Rejected::AnotherUser);
        }
        let unwritable = |error: serde_json::Error| Rejected::Invalid(Invalid::data(error.to_string()));
        self.domain.encode(&request.command, caller.user(), token).map_err(unwritable)
    }

    fn owner(&self, queue: &str, data: &[u8]) -> Option<String> {
        match self.domain.parse(queue, data) {
            Ok(request) => request.id,
            Err(invalid) => invalid.id,
        }
    }
}
