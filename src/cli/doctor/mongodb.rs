//! MongoDB, where the characters are kept.

mod access;
mod collation;
mod server;

use std::fmt::Display;

use mongodb::{
    Client, Database,
    bson::{Document, doc},
    error::Error,
    options::ClientOptions,
};

use super::{
    LIMIT,
    clock::{Asking, SAMPLES, Sample, best, reach},
    report::Check,
};
use crate::{character::store::MongoStore, config};

const NAME: &str = "mongodb";

/// Checks the MongoDB of `config`, for `at_a_time` jobs; also returns the size of the pool.
pub(super) async fn examine(config: &config::MongoDb, at_a_time: u32) -> (Vec<Check>, u32) {
    let config = config.clone();
    let options = match run(async move { MongoStore::options(&config, at_a_time).await }).await {
        Ok(options) => options,
        Err(error) => return (vec![away(&error)], at_a_time),
    };
    let pool = options.max_pool_size.unwrap_or(at_a_time);
    let mut checks = vec![pool_size(pool, at_a_time)];
    let reached = match look(options, &mut checks).await {
        Ok(sample) => reach(NAME, "MongoDB", sample),
        Err(error) => away(&error),
    };
    checks.insert(0, reached);
    (checks, pool)
}

/// Asks everything; ends early when the server no longer answers.
async fn look(mut options: ClientOptions, checks: &mut Vec<Check>) -> Result<Option<Sample>, Unanswered> {
    options.server_selection_timeout = options.server_selection_timeout.map(|wait| wait.min(LIMIT));
    options.connect_timeout = options.connect_timeout.map(|wait| wait.min(LIMIT));
    let client = Client::with_options(options.clone())?;
    let admin = client.database("admin");
    let (mut samples, mut hello) = (Vec::new(), Document::new());
    for _ in 0..SAMPLES {
        let asking = Asking::now();
        hello = command(&admin, doc! { "hello": 1 }).await?;
        samples.extend(
            hello.get_datetime("localTime").ok().map(|time| asking.answered(time.timestamp_millis())),
        );
    }
    let sample = best(samples);
    checks.extend(sample.map(|sample| sample.skew("mongodb.clock", "MongoDB")));
    let info = command(&admin, doc! { "buildInfo": 1 }).await?;
    checks.extend([server::version(&info), server::deployment(&hello)]);
    checks.push(server::write_concern(&options, &hello));
    let database = client.default_database().ok_or(Unanswered::NoDatabase)?;
    checks.push(access::privileges(&database).await?);
    checks.push(access::index(&database).await?);
    checks.extend(collation::own(&database).await?);
    Ok(sample)
}

/// There is no server to ask, or it does not answer.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("{}", .0.kind)]
    Failed(#[from] Error),
    #[error("the URI names no database")]
    NoDatabase,
    #[error("it does not answer within {} s", LIMIT.as_secs())]
    Silent,
    #[error("the driver's task failed: {0}")]
    Driver(#[from] tokio::task::JoinError),
}

/// Runs a driver operation to its end, even if nobody waits for it any more (RUST-937).
async fn run<T: Send + 'static>(
    operation: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Unanswered> {
    match tokio::time::timeout(LIMIT + LIMIT / 10, tokio::spawn(operation)).await {
        Ok(ended) => Ok(ended??),
        Err(_) => Err(Unanswered::Silent),
    }
}

async fn command(database: &Database, command: Document) -> Result<Document, Unanswered> {
    let database = database.clone();
    run(async move { database.run_command(command).await }).await
}

fn away(error: &dyn Display) -> Check {
    Check::failure(
        NAME,
        format!("cannot use MongoDB: {error}"),
        "start it, or point MONGODB_URI at it, with a user and a password if it requires them",
    )
}

fn pool_size(pool: u32, at_a_time: u32) -> Check {
    const NAME: &str = "mongodb.pool";
    let found = format!("{at_a_time} connections can be in use at a time, {pool} are in the pool");
    // 0 means no limit.
    if pool >= at_a_time || pool == 0 {
        return Check::ok(NAME, found);
    }
    let advice = format!(
        "take maxPoolSize out of MONGODB_URI, or set it to {at_a_time}, or lower OCTAVO__QUEUE__CONCURRENCY: \
         jobs without a connection wait, and may time out"
    );
    Check::warning(NAME, found, advice)
}
