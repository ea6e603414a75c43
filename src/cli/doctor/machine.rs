//! What this machine allows the process.

use std::fs;

use super::report::Check;

/// Open files besides the MongoDB pool: the log, the listeners, Redis, the database file.
const OWN: u64 = 64;

/// How many browsers a service should have room for.
const BROWSERS: u64 = 1_000;

/// Whether the limit of open files is enough for the sockets, `pool` of which go to MongoDB.
pub(super) fn open_files(pool: u32) -> Check {
    const NAME: &str = "files";
    const ADVICE: &str =
        "raise it: ulimit -n 65536, LimitNOFILE=65536 for systemd, --ulimit nofile=65536 for Docker";
    let limit = match fs::read_to_string("/proc/self/limits") {
        Ok(limits) => soft_limit(&limits),
        Err(error) => {
            let found = format!("the limit of open files cannot be checked: {error}");
            return Check::warning(NAME, found, "make sure that ulimit -n is about 65536");
        }
    };
    let Some(limit) = limit else { return Check::ok(NAME, "open files are not limited") };
    let ours = OWN + u64::from(pool);
    let found =
        format!("{limit} files may be open; the service itself needs {ours}, and each browser one more");
    match limit.checked_sub(ours) {
        None => Check::failure(NAME, found, ADVICE),
        Some(left) if left < BROWSERS => Check::warning(NAME, found, ADVICE),
        Some(_) => Check::ok(NAME, found),
    }
}

/// `None` when there is no limit.
fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}
