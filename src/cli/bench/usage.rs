//! What a process and the servers have used: CPU time and memory.

use std::{fs, io};

use mongodb::bson::{Document, doc};

use super::{
    CliError,
    row::{Figure, float},
    stage::{Stage, within},
};

/// CPU time used so far, in microseconds, by the measured service, by each server and by the bench.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cpu {
    service: Option<u64>,
    redis: u64,
    mongod: u64,
    bench: u64,
}

impl Cpu {
    /// Reads it; for the service if its process ids are known.
    pub(super) async fn read(stage: &Stage, pids: &[u32]) -> Result<Self, CliError> {
        let service = match pids {
            [] => None,
            pids => Some(pids.iter().map(|pid| cpu_us(*pid)).sum::<io::Result<u64>>()?),
        };
        let info: String = redis::cmd("INFO").arg("cpu").query_async(&mut stage.redis.clone()).await?;
        let status = within(stage.database("admin").run_command(doc! { "serverStatus": 1 })).await?;
        Ok(Self {
            service,
            redis: redis_us(&info),
            mongod: mongod_us(&status),
            bench: cpu_us(std::process::id())?,
        })
    }

    /// The number of `jobs`, and the CPU time used for each of them since `before`.
    pub(super) fn since(&self, before: &Self, jobs: u64) -> Vec<(Figure, f64)> {
        let each = |after: u64, before: u64| float(after.saturating_sub(before)) / float(jobs);
        let mut figures = vec![(Figure::Jobs, float(jobs))];
        if let Some((after, before)) = self.service.zip(before.service) {
            figures.push((Figure::ServiceUs, each(after, before)));
        }
        figures.push((Figure::RedisUs, each(self.redis, before.redis)));
        figures.push((Figure::MongodUs, each(self.mongod, before.mongod)));
        figures.push((Figure::BenchUs, each(self.bench, before.bench)));
        figures
    }
}

/// The kernel reports times in these ticks, whatever its own clock is.
const TICKS_PER_SECOND: u64 = 100;

/// CPU time of all threads, including those that have ended.
fn cpu_us(pid: u32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may contain any characters. The 14th and 15th fields are user and system time.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
    Ok(ticks * (1_000_000 / TICKS_PER_SECOND))
}

fn redis_us(info: &str) -> u64 {
    let seconds: f64 = info
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| matches!(*name, "used_cpu_sys" | "used_cpu_user"))
        .filter_map(|(_, seconds)| seconds.trim().parse::<f64>().ok())
        .sum();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time of a process")]
    let us = (seconds * 1e6) as u64;
    us
}

fn mongod_us(status: &Document) -> u64 {
    let Ok(extra) = status.get_document("extra_info") else { return 0 };
    let us = |name| extra.get_i64(name).ok().and_then(|us| u64::try_from(us).ok()).unwrap_or(0);
    us("user_time_us") + us("system_time_us")
}

/// A process's current memory, in kilobytes.
pub(super) fn resident_kb(pid: u32) -> io::Result<u64> {
    status_kb(pid, "VmRSS:")
}

/// Its peak memory since [`reset_peak`], or since its start where that is not allowed, in kilobytes.
pub(super) fn peak_kb(pid: u32) -> io::Result<u64> {
    status_kb(pid, "VmHWM:")
}

/// Restarts the peak. Where this is not allowed, the peak stays that since the process's start, which is no less.
pub(super) fn reset_peak(pid: u32) {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").ok();
}

fn status_kb(pid: u32, name: &str) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kb = line.and_then(|line| line.split_whitespace().next()).and_then(|kb| kb.parse().ok());
    kb.ok_or_else(|| io::Error::other(format!("/proc/{pid}/status has no {name}")))
}
