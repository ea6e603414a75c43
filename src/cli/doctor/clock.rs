//! How far a server's clock is from ours.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::report::Check;

/// How often the time is asked; the quickest answer counts, since the first may have waited for a connection.
pub(super) const SAMPLES: usize = 5;

/// With clocks further apart, tokens expire that much early or late, and retries come at the wrong times.
const WARNING_MS: i64 = 500;
const FAILURE_MS: i64 = 5_000;

/// A server slower than this is far away, or overloaded.
const SLOW: Duration = Duration::from_millis(20);

/// One request for the time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    round_trip: Duration,
    /// How many milliseconds the server's clock is ahead of ours, if request and answer took equally long.
    ahead_ms: i64,
}

/// A request for the time that is under way.
pub(super) struct Asking {
    sent: Instant,
    at: SystemTime,
}

impl Asking {
    pub(super) fn now() -> Self {
        Self { sent: Instant::now(), at: SystemTime::now() }
    }

    /// The server said `its_ms`, in milliseconds since 1970.
    pub(super) fn answered(self, its_ms: i64) -> Sample {
        let round_trip = self.sent.elapsed();
        let halfway = (self.at + round_trip / 2).duration_since(UNIX_EPOCH).unwrap_or_default();
        Sample { round_trip, ahead_ms: its_ms.saturating_sub(millis(halfway)) }
    }
}

/// The most precise of several samples.
pub(super) fn best(samples: impl IntoIterator<Item = Sample>) -> Option<Sample> {
    samples.into_iter().min_by_key(|sample| sample.round_trip)
}

/// Whether a server that answers does so quickly enough.
pub(super) fn reach(name: &'static str, server: &str, sample: Option<Sample>) -> Check {
    let Some(Sample { round_trip, .. }) = sample else { return Check::ok(name, format!("{server} answers")) };
    let found = format!("{server} answers in {:.1} ms", round_trip.as_secs_f64() * 1000.0);
    if round_trip < SLOW {
        return Check::ok(name, found);
    }
    let advice =
        format!("run octavo closer to {server}, or check its load: each batch of jobs has to wait for it");
    Check::warning(name, found, advice)
}

impl Sample {
    /// Whether the clocks agree, as far as the round trip allows us to tell.
    pub(super) fn skew(self, name: &'static str, server: &str) -> Check {
        let way = if self.ahead_ms < 0 { "behind" } else { "ahead of" };
        let doubt_ms = millis(self.round_trip) / 2 + 1;
        let found = format!(
            "the clock of {server} is {} ms {way} ours, give or take {doubt_ms} ms",
            self.ahead_ms.abs()
        );
        let advice =
            "let NTP set the clocks of both machines (timedatectl set-ntp true): tokens expire to the second";
        match self.ahead_ms.abs() - doubt_ms {
            apart if apart > FAILURE_MS => Check::failure(name, found, advice),
            apart if apart > WARNING_MS => Check::warning(name, found, advice),
            _ => Check::ok(name, found),
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skew(ahead_ms: i64, round_trip_ms: u64) -> String {
        let sample = Sample { round_trip: Duration::from_millis(round_trip_ms), ahead_ms };
        serde_json::to_value(sample.skew("redis.clock", "Redis")).unwrap()["status"].as_str().unwrap().into()
    }

    #[test]
    fn clocks_are_judged_by_what_the_round_trip_cannot_explain() {
        assert_eq!(skew(0, 1), "ok");
        assert_eq!(skew(-499, 1), "ok");
        assert_eq!(skew(-510, 1), "warning");
        assert_eq!(skew(900, 1_000), "ok");
        assert_eq!(skew(4_900, 1), "warning");
        assert_eq!(skew(5_010, 1), "failure");
        assert_eq!(skew(-5_200, 1_000), "warning");
    }
}
