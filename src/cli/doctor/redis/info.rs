//! What Redis says about itself: whether it accepts jobs, and keeps them.

use std::collections::HashMap;

use crate::cli::doctor::report::Check;

/// Checks the output of `INFO`, and `appendfsync`, which only `CONFIG` tells.
pub(super) fn examine(info: &str, fsync: Option<&String>) -> Vec<Check> {
    let info = Info::parse(info);
    let mut checks = vec![version(&info), role(&info), eviction(&info)];
    checks.extend(memory(&info));
    checks.push(persistence(&info, fsync));
    checks
}

/// The output of `INFO`.
struct Info<'a>(HashMap<&'a str, &'a str>);

impl<'a> Info<'a> {
    fn parse(text: &'a str) -> Self {
        Self(text.lines().filter_map(|line| line.trim_end().split_once(':')).collect())
    }

    /// A field; empty when there is none with this name.
    fn text(&self, field: &str) -> &'a str {
        self.0.get(field).copied().unwrap_or_default()
    }

    fn number(&self, field: &str) -> Option<u64> {
        self.text(field).parse().ok()
    }
}

fn version(info: &Info<'_>) -> Check {
    const NAME: &str = "redis.version";
    let version = info.text("redis_version");
    match version.split('.').next().and_then(|major| major.parse::<u32>().ok()) {
        Some(7..) => Check::ok(NAME, version),
        Some(6) => {
            Check::warning(NAME, format!("{version} works"), "Redis 7 or newer is better tested: upgrade")
        }
        Some(_) => Check::failure(NAME, format!("{version} is too old"), "Redis 6 is needed: upgrade to 7"),
        None => {
            Check::warning(NAME, "cannot be checked: INFO names no version", "Redis 6 or newer is needed")
        }
    }
}

fn role(info: &Info<'_>) -> Check {
    const NAME: &str = "redis.role";
    if info.text("role") != "slave" {
        return Check::ok(NAME, "a primary");
    }
    let primary = format!("{}:{}", info.text("master_host"), info.text("master_port"));
    Check::failure(
        NAME,
        format!("a read-only replica of {primary}: it accepts no jobs"),
        format!("set REDIS_HOST and REDIS_PORT to the primary, {primary}"),
    )
}

fn eviction(info: &Info<'_>) -> Check {
    const NAME: &str = "redis.eviction";
    const ADVICE: &str =
        "redis-cli CONFIG SET maxmemory-policy noeviction, and maxmemory-policy noeviction in redis.conf";
    match info.text("maxmemory_policy") {
        "" => Check::warning(NAME, "cannot be checked: INFO names no policy", ADVICE),
        "noeviction" => Check::ok(NAME, "noeviction: a full Redis refuses jobs, but forgets none"),
        policy if info.number("maxmemory") == Some(0) => {
            Check::warning(NAME, format!("{policy} will forget jobs once maxmemory is set"), ADVICE)
        }
        policy => Check::failure(NAME, format!("{policy}: a full Redis forgets jobs or outcomes"), ADVICE),
    }
}

/// How full it is; `None` when Redis does not say.
fn memory(info: &Info<'_>) -> Option<Check> {
    const NAME: &str = "redis.memory";
    const MIB: u64 = 1 << 20;
    let (used, most) = (info.number("used_memory")?, info.number("maxmemory")?);
    if most == 0 {
        let found = format!("{} MiB used, no maxmemory: it may use all of the machine's memory", used / MIB);
        return Some(Check::ok(NAME, found));
    }
    let percent = used.saturating_mul(100) / most;
    let found = format!("{percent} % of maxmemory ({} of {} MiB) is used", used / MIB, most / MIB);
    let advice =
        "raise it (redis-cli CONFIG SET maxmemory 4gb), or see why jobs pile up: curl localhost:4016/health";
    Some(match percent {
        0..75 => Check::ok(NAME, found),
        75..95 => Check::warning(NAME, found, advice),
        _ => Check::failure(NAME, format!("{found}: jobs are refused"), advice),
    })
}

fn persistence(info: &Info<'_>, fsync: Option<&String>) -> Check {
    const NAME: &str = "redis.persistence";
    const ALWAYS: &str = "redis-cli CONFIG SET appendfsync always, and appendfsync always in redis.conf";
    if info.text("aof_enabled") != "1" {
        let advice = "redis-cli CONFIG SET appendonly yes, and appendonly yes in redis.conf";
        let found = "appendonly is off: a restart loses the jobs since the last snapshot, or all of them";
        return Check::failure(NAME, found, advice);
    }
    if info.text("aof_last_write_status") == "err" {
        let found = "the append-only file could not be written: Redis refuses jobs";
        return Check::failure(NAME, found, "free space on its disk, and check its log");
    }
    match fsync.map(String::as_str) {
        Some("always") => Check::ok(NAME, "appendonly, appendfsync always: nothing is lost"),
        Some("everysec") => {
            let found = "appendonly, appendfsync everysec: a power cut loses the last second of jobs";
            Check::warning(NAME, found, format!("if that is too much: {ALWAYS}"))
        }
        Some(other) => {
            let found = format!("appendonly, appendfsync {other}: a power cut loses half a minute of jobs");
            Check::warning(NAME, found, ALWAYS)
        }
        None => {
            let found = "appendonly; appendfsync cannot be checked: this Redis refuses CONFIG to our user";
            Check::warning(NAME, found, "ask who runs it: \"always\" loses nothing, \"everysec\" a second")
        }
    }
}
