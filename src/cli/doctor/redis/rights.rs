//! Whether our user of Redis may do all that the service does; docs/security.md has the smallest rights.

use redis::{Cmd, Pipeline, RedisResult, ToRedisArgs, Value, aio::ConnectionLike};

use crate::{
    character::QUEUES,
    cli::doctor::report::Check,
    config::{Config, Storage},
    queue::Connection,
};

/// Each command of the service and its scripts, as it is probed: on the key `K` or the channel `C`. It is queued in a
/// transaction that is thrown away: Redis looks at the rights then, and does nothing.
const COMMANDS: [&str; 51] = [
    "DISCARD",
    "CLIENT TRACKING OFF",
    "DEL K",
    "EVAL s 0",
    "EVALSHA s 0",
    "EXEC",
    "EXISTS K",
    "GET K",
    "HDEL K f",
    "HEXISTS K f",
    "HGET K f",
    "HGETALL K",
    "HINCRBY K f 1",
    "HMGET K f",
    "HSET K f v",
    "HSTRLEN K f",
    "LINDEX K 0",
    "LINSERT K BEFORE a b",
    "LLEN K",
    "LPUSH K v",
    "LRANGE K 0 0",
    "LREM K 0 v",
    "LTRIM K 0 0",
    "MGET K",
    "MULTI",
    "PEXPIRE K 1",
    "PING",
    "PTTL K",
    "PUBLISH C m",
    "RENAME K K",
    "RPUSH K v",
    "SADD K m",
    "SCRIPT LOAD s",
    "SET K v",
    "SMEMBERS K",
    "SREM K m",
    "SUBSCRIBE C",
    "TIME",
    "TYPE K",
    "UNLINK K",
    "ZADD K 1 m",
    "ZCARD K",
    "ZCOUNT K 0 0",
    "ZRANGE K 0 0",
    "ZRANGEBYSCORE K 0 0",
    "ZREM K m",
    "ZREMRANGEBYRANK K 0 0",
    "ZREMRANGEBYSCORE K 0 0",
    "ZREVRANGE K 0 0",
    "ZREVRANGEBYSCORE K 0 0",
    "ZSCORE K m",
];

/// Those that are tried, in an empty transaction, before the others are queued in one.
const TRANSACTION: [&str; 3] = ["MULTI", "EXEC", "DISCARD"];

/// Checks what the user may do; nothing is changed.
pub(super) async fn examine(config: &Config, redis: &mut Connection) -> RedisResult<Check> {
    const NAME: &str = "redis.rights";
    let Names { user, keys, channels } = Names::of(config);
    let mut missing = Vec::new();
    let ended = [["MULTI", "EXEC"], ["MULTI", "DISCARD"]].concat();
    for (command, answer) in ended.iter().zip(ask(redis, ended.iter().map(|name| vec![*name])).await?) {
        let lacks = format!("+{}", command.to_lowercase());
        if denied(&answer).is_some() && !missing.contains(&lacks) {
            missing.push(lacks);
        }
    }
    if missing.is_empty() {
        missing = lacking(redis, &keys, &channels).await?;
    }
    if missing.is_empty() {
        return Ok(Check::ok(NAME, format!("{user} may do all that octavo does")));
    }
    let missing = missing.join(" ");
    let advice = format!("redis-cli ACL SETUSER {user} {missing}; docs/security.md has all that is needed");
    Ok(Check::failure(NAME, format!("{user} lacks {missing}"), advice))
}

/// What is missing, as `ACL SETUSER` takes it, of the commands, `keys` and `channels`.
async fn lacking(redis: &mut Connection, keys: &[String], channels: &[String]) -> RedisResult<Vec<String>> {
    let (Some(key), Some(channel)) = (keys.first(), channels.first()) else { return Ok(Vec::new()) };
    let key = sample(key);
    let channel = sample(channel);
    let place = |word| match word {
        "K" => key.clone(),
        "C" => channel.clone(),
        word => word.to_owned(),
    };
    let commands = COMMANDS.iter().filter(|line| !TRANSACTION.contains(line));
    let mut probes: Vec<(String, &str, Vec<_>)> =
        commands.map(|line| (right(line), "command", line.split(' ').map(place).collect())).collect();
    for pattern in keys {
        // One may be allowed only to read it.
        probes.push((format!("~{pattern}"), "key", vec!["GET".to_owned(), sample(pattern)]));
        probes.push((format!("~{pattern}"), "key", vec!["DEL".to_owned(), sample(pattern)]));
    }
    for pattern in channels {
        probes.push((
            format!("&{pattern}"),
            "channel",
            vec!["PUBLISH".to_owned(), sample(pattern), "m".to_owned()],
        ));
    }
    let all = [vec!["MULTI".to_owned()]].into_iter().chain(probes.iter().map(|(.., words)| words.clone()));
    let answers = ask(redis, all.chain([vec!["DISCARD".to_owned()]])).await?;
    let mut missing = Vec::new();
    for ((name, kind, _), answer) in probes.into_iter().zip(answers.iter().skip(1)) {
        if denied(answer) == Some(kind) && !missing.contains(&name) {
            missing.push(name);
        }
    }
    Ok(missing)
}

/// The right to a command, as `ACL SETUSER` takes it.
fn right(line: &str) -> String {
    let line = line.to_lowercase();
    let words = if line.starts_with("client ") || line.starts_with("script ") { 2 } else { 1 };
    format!("+{}", line.split(' ').take(words).collect::<Vec<_>>().join("|"))
}

/// A name that `pattern` matches, and nobody uses.
fn sample(pattern: &str) -> String {
    pattern.replace('*', "doctor")
}

/// The user, and patterns of the names that it works with.
struct Names {
    user: String,
    keys: Vec<String>,
    channels: Vec<String>,
}

impl Names {
    fn of(config: &Config) -> Self {
        let ours = &config.queue.prefix;
        let bull = &config.bull.prefix;
        let user = match &config.storage {
            Storage::Servers { redis, .. } if !redis.username.is_empty() => &redis.username,
            _ => "default",
        };
        let own = format!("{ours}octavo:*");
        let bulls = QUEUES.map(|queue| format!("{bull}:{queue}:*"));
        let queues = QUEUES.map(|queue| format!("{ours}{queue}:*"));
        let keys = [own.clone()].into_iter().chain(queues).chain(bulls.clone()).collect();
        Self { user: user.to_owned(), keys, channels: [own].into_iter().chain(bulls).collect() }
    }
}

/// The answers to commands that are sent together.
async fn ask<W: ToRedisArgs>(
    redis: &mut Connection,
    commands: impl IntoIterator<Item = Vec<W>>,
) -> RedisResult<Vec<Value>> {
    let mut pipe = Pipeline::new();
    for words in commands {
        pipe.add_command(Cmd::new().arg(words).to_owned());
    }
    let count = pipe.len();
    redis.req_packed_commands(&pipe, 0, count).await
}

/// What an answer denies: the `command`, a `key`, or a `channel`. Redis looks at the command first.
fn denied(answer: &Value) -> Option<&'static str> {
    let Value::ServerError(error) = answer else { return None };
    let details = error.details().unwrap_or_default();
    let kind = ["command", "channel", "key"].into_iter().find(|kind| details.contains(kind));
    kind.filter(|_| error.code() == "NOPERM")
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn every_command_of_the_scripts_is_probed() {
        /// Called with `pcall`: without the rights, more is published than anybody hears.
        const OPTIONAL: [&str; 2] = ["INFO", "PUBSUB"];
        let known = COMMANDS.iter().filter_map(|line| line.split(' ').next()).chain(OPTIONAL);
        let known: Vec<_> = known.collect();
        let mut scripts = Vec::new();
        find(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/queue"), &mut scripts);
        assert!(scripts.len() > 20, "{}", scripts.len());
        for script in scripts {
            for call in script.split("call('").skip(1) {
                let command = call.split('\'').next().unwrap();
                assert!(known.contains(&command), "{command} is not in COMMANDS, nor in docs/security.md");
            }
        }
    }

    fn find(dir: &Path, scripts: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                find(&path, scripts);
            } else if path.extension().is_some_and(|extension| extension == "lua") {
                scripts.push(fs::read_to_string(path).unwrap());
            }
        }
    }
}
