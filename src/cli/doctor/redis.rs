//! Redis, where the jobs are kept.

mod info;
mod rights;

use std::collections::HashMap;

use redis::{FromRedisValue, RedisError, RedisResult};

use super::{
    LIMIT,
    clock::{Asking, SAMPLES, Sample, best, reach},
    report::Check,
};
use crate::{
    config::{self, Config},
    queue::{Connection, Server, connect},
};

const NAME: &str = "redis";

/// Checks the Redis at `config`, one of `all` settings.
pub(super) async fn examine(config: &config::Redis, all: &Config) -> Vec<Check> {
    let address = Server::new(config).to_string();
    let mut redis = match tokio::time::timeout(LIMIT, connect(config)).await {
        Ok(Ok((_, redis))) => redis,
        Ok(Err(error)) => return vec![away(&address, &error)],
        Err(_) => return vec![silent(&address)],
    };
    let mut checks = Vec::new();
    let looked = match look(config, &mut redis, &mut checks).await {
        // Last: without the rights to end a transaction, everything that follows is part of it.
        Ok(sample) => limited(rights::examine(all, &mut redis)).await.map(|check| {
            checks.push(check);
            sample
        }),
        Err(unanswered) => Err(unanswered),
    };
    let reached = match looked {
        Ok(sample) => reach(NAME, &format!("Redis at {address}"), sample),
        Err(Unanswered::Silent) => silent(&address),
        Err(Unanswered::Lost(error)) => away(&address, &error),
    };
    checks.insert(0, reached);
    checks
}

/// Asks everything; ends early when the server no longer answers.
async fn look(
    config: &config::Redis,
    redis: &mut Connection,
    checks: &mut Vec<Check>,
) -> Result<Option<Sample>, Unanswered> {
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        let asking = Asking::now();
        if let Some((seconds, micros)) = ask::<(i64, i64)>(redis, &["TIME"]).await? {
            samples.push(asking.answered(seconds * 1000 + micros / 1000));
        }
    }
    let sample = best(samples);
    checks.push(
        sample.map_or_else(|| unchecked("redis.clock", "TIME"), |sample| sample.skew("redis.clock", "Redis")),
    );
    match ask::<String>(redis, &["INFO"]).await? {
        Some(info) => {
            let fsync = ask::<HashMap<String, String>>(redis, &["CONFIG", "GET", "appendfsync"]).await?;
            checks.extend(info::examine(&info, fsync.as_ref().and_then(|fsync| fsync.get("appendfsync"))));
        }
        None => checks.push(unchecked("redis.version, role, eviction and persistence", "INFO")),
    }
    if !config.sentinels.is_empty() {
        let least = ["CONFIG", "GET", LEAST_REPLICAS];
        checks.push(match ask::<HashMap<String, String>>(redis, &least).await? {
            Some(least) => failover(least.get(LEAST_REPLICAS)),
            None => unchecked("redis.failover", "CONFIG GET"),
        });
    }
    Ok(sample)
}

/// The fewest replicas with which a master accepts writes.
const LEAST_REPLICAS: &str = "min-replicas-to-write";

/// What a failover may lose.
fn failover(least: Option<&String>) -> Check {
    const NAME: &str = "redis.failover";
    if least.is_none_or(|least| least == "0") {
        let found = "a master that was replaced keeps accepting jobs for seconds, and these are lost";
        let advice = "set min-replicas-to-write 1 and min-replicas-max-lag 2 on the master and its replicas";
        return Check::warning(NAME, found, advice);
    }
    Check::ok(NAME, "a master without replicas accepts no jobs")
}

/// Redis does not answer.
enum Unanswered {
    Silent,
    Lost(RedisError),
}

/// Redis' answer; `None` when it refuses the command, as managed services refuse some.
async fn ask<T: FromRedisValue>(redis: &mut Connection, command: &[&str]) -> Result<Option<T>, Unanswered> {
    let mut asked = redis::Cmd::new();
    asked.arg(command);
    match limited(asked.query_async(redis)).await {
        Ok(answer) => Ok(Some(answer)),
        Err(Unanswered::Lost(error)) if error.code().is_some() => Ok(None),
        Err(unanswered) => Err(unanswered),
    }
}

async fn limited<T>(answer: impl Future<Output = RedisResult<T>>) -> Result<T, Unanswered> {
    match tokio::time::timeout(LIMIT, answer).await {
        Ok(answer) => answer.map_err(Unanswered::Lost),
        Err(_) => Err(Unanswered::Silent),
    }
}

fn away(address: &str, error: &RedisError) -> Check {
    let advice = match error.code() {
        Some("NOAUTH" | "WRONGPASS" | "NOPERM") => {
            "set OCTAVO__REDIS__USERNAME and OCTAVO__REDIS__PASSWORD to a user with the rights in docs/security.md"
        }
        Some(_) => "see the error; Redis 6 or newer is needed",
        None => "start it, or point REDIS_HOST and REDIS_PORT at it",
    };
    Check::failure(NAME, format!("cannot use Redis at {address}: {error}"), advice)
}

fn silent(address: &str) -> Check {
    let found = format!("Redis at {address} does not answer within {} s", LIMIT.as_secs());
    Check::failure(NAME, found, "check its load, and any firewalls on the way to REDIS_HOST and REDIS_PORT")
}

fn unchecked(check: &'static str, command: &str) -> Check {
    let found = format!("cannot be checked: this Redis refuses {command} to our user");
    Check::warning(check, found, format!("allow it temporarily (ACL SETUSER … +{})", command.to_lowercase()))
}
