//! The options of a Bull job that say what the queue does with it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::queue::{Keep, Options};

/// `opts` as Bull writes it. Producers may put anything anywhere, so each option is read on its own.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Opts<'a> {
    #[serde(borrow)]
    attempts: Raw<'a>,
    backoff: Raw<'a>,
    timeout: Raw<'a>,
    remove_on_complete: Raw<'a>,
    remove_on_fail: Raw<'a>,
    lifo: Raw<'a>,
    debounce: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Backoff<'a> {
    #[serde(borrow)]
    delay: Raw<'a>,
    r#type: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Remove<'a> {
    #[serde(borrow)]
    count: Raw<'a>,
    age: Raw<'a>,
}

/// A value, not parsed yet; `null` is none.
type Raw<'a> = Option<&'a RawValue>;

/// Reads the options of one claim's jobs, most of which have the same text as the one before.
#[derive(Default)]
pub(in crate::queue) struct Reader(Option<(Vec<u8>, u32, Options)>);

impl Reader {
    /// As [`parse`].
    pub(in crate::queue) fn read(&mut self, opts: Vec<u8>, attempt: u32) -> Options {
        match &self.0 {
            Some((text, n, options)) if *text == opts && *n == attempt => *options,
            _ => {
                let options = parse(&opts, attempt);
                self.0 = Some((opts, attempt, options));
                options
            }
        }
    }
}

/// Reads `opts` as Bull writes it; what cannot be read counts as absent. `attempt` is counted from 1.
fn parse(opts: &[u8], attempt: u32) -> Options {
    let opts: Opts<'_> = std::str::from_utf8(opts).ok().and_then(object).unwrap_or_default();
    let attempts = read::<u64>(opts.attempts).map_or(1, |n| u32::try_from(n).unwrap_or(u32::MAX));
    Options {
        attempts: Some(attempts),
        backoff: (attempts > 1).then(|| backoff(opts.backoff, attempt)).flatten(),
        timeout: millis(opts.timeout).filter(|timeout| !timeout.is_zero()),
        keep_done: keep(opts.remove_on_complete),
        keep_failed: keep(opts.remove_on_fail),
        lifo: read(opts.lifo).unwrap_or(false),
        debounced: opts.debounce.is_some(),
    }
}

/// The pause after attempt `attempt` has failed. `None` for a strategy that only the producer's process knows.
fn backoff(backoff: Raw<'_>, attempt: u32) -> Option<Duration> {
    let Some(raw) = backoff else { return Some(Duration::ZERO) };
    let Backoff { delay, r#type } = object(raw.get()).unwrap_or_default();
    let delay = millis(delay).or_else(|| millis(backoff))?;
    match read::<String>(r#type).as_deref() {
        Some("exponential") => Some(delay.saturating_mul(2_u32.saturating_pow(attempt) - 1)),
        Some("fixed") | None => Some(delay),
        Some(_) => None,
    }
}

/// `true`, `false`, a count, or `{age, count}` with the age in seconds.
fn keep(remove: Raw<'_>) -> Keep {
    // Producers may give fractions; a negative count is Bull's own way of saying all.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    let number = |raw| read::<f64>(raw).filter(|n| *n >= 0.0).map(|n| n.ceil() as u32);
    let (count, age_s) = if read(remove) == Some(true) {
        (Some(0), None)
    } else if let Some(Remove { count, age }) = remove.and_then(|raw| object(raw.get())) {
        (number(count), number(age))
    } else {
        (number(remove), None)
    };
    match (count, age_s) {
        (Some(0), _) => Keep::Nothing,
        (None, None) => Keep::All,
        (count, age_s) => Keep::Some { count, age_s },
    }
}

fn millis(raw: Raw<'_>) -> Option<Duration> {
    read::<f64>(raw).and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok())
}

fn read<'a, T: Deserialize<'a>>(raw: Raw<'a>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// Only an object: serde would accept an array as the fields of a struct.
fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    text.trim_start().starts_with('{').then(|| serde_json::from_str(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(opts: &str, attempt: u32) -> Options {
        parse(opts.as_bytes(), attempt)
    }

    #[test]
    fn backoff_is_as_bull_has_it() {
        let pause = |opts, attempt| options(opts, attempt).backoff.map(|pause| pause.as_millis());
        assert_eq!(pause(r#"{"attempts": 3, "backoff": {"type": "fixed", "delay": 500}}"#, 2), Some(500));
        assert_eq!(pause(r#"{"attempts": 3, "backoff": 500}"#, 2), Some(500));
        let exponential = r#"{"attempts": 4, "backoff": {"type": "exponential", "delay": 100}}"#;
        assert_eq!([1, 2, 3].map(|n| pause(exponential, n)), [Some(100), Some(300), Some(700)]);
        assert_eq!(pause(r#"{"attempts": 3}"#, 1), Some(0));
        assert_eq!(pause(r#"{"attempts": 3, "backoff": {"type": "jitter"}}"#, 1), None);
        assert_eq!(pause(r#"{"attempts": 1, "backoff": 500}"#, 1), None, "the service's own");
        assert_eq!(
            pause(r#"{"attempts": 99, "backoff": {"type": "exponential", "delay": 1e300}}"#, 90),
            None
        );
    }

    #[test]
    fn each_job_of_a_claim_has_its_own() {
        let mut reader = Reader::default();
        let (three, none) = (r#"{"attempts": 3, "backoff": {"type": "exponential", "delay": 100}}"#, "{}");
        for (opts, attempt) in [(three, 1), (three, 1), (three, 2), (none, 2), (three, 2)] {
            assert_eq!(reader.read(opts.into(), attempt), options(opts, attempt), "{opts} {attempt}");
        }
    }

    #[test]
    fn what_is_kept_is_as_bull_has_it() {
        let kept = |remove: &str| options(&format!(r#"{{"removeOnComplete": {remove}}}"#), 1).keep_done;
        assert_eq!(kept("true"), Keep::Nothing);
        assert_eq!(kept("0"), Keep::Nothing);
        assert_eq!(kept("false"), Keep::All);
        assert_eq!(kept("null"), Keep::All);
        assert_eq!(kept("5"), Keep::Some { count: Some(5), age_s: None });
        assert_eq!(kept("-1"), Keep::All);
        assert_eq!(kept(r#"{"age": 0.5}"#), Keep::Some { count: None, age_s: Some(1) });
        assert_eq!(kept(r#"{"age": 60}"#), Keep::Some { count: None, age_s: Some(60) });
        assert_eq!(kept(r#"{"age": 60, "count": 9}"#), Keep::Some { count: Some(9), age_s: Some(60) });
    }

    #[test]
    fn what_cannot_be_read_is_as_if_it_were_not_there() {
        let defaults = Options { attempts: Some(1), ..Options::default() };
        for opts in
            ["", "null", "7", "{", "[3]", r#"{"attempts": "x", "backoff": [], "timeout": -1, "lifo": 3}"#]
        {
            assert_eq!(options(opts, 1), defaults, "{opts}");
        }
    }

    #[test]
    fn an_odd_value_spoils_no_other() {
        let odd = r#" {"attempts": 2, "backoff": {"type": 7, "delay": 5}, "timeout": 1e400, "removeOnComplete": [1],
            "removeOnFail": {"count": "x", "age": 9}, "lifo": true, "repeat": {"cron": null}}"#;
        let read = Options {
            attempts: Some(2),
            backoff: Some(Duration::from_millis(5)),
            timeout: None,
            keep_done: Keep::All,
            keep_failed: Keep::Some { count: None, age_s: Some(9) },
            lifo: true,
            debounced: false,
        };
        assert_eq!(options(odd, 1), read);
        assert!(options(r#"{"debounce": {"id": "d"}}"#, 1).debounced);
    }
}
