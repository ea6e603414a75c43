//! What is fuzzed: one function for each kind of bytes that come from outside, which panics when an invariant is broken.
//!
//! `fuzz/` runs them under libFuzzer; a test runs them on the corpus and on mutations of it.

pub use crate::{
    auth::fuzzing::tokens,
    character::fuzzing::{filters, job_data},
    notifier::fuzzing::packets,
    queue::fuzzing::{bull_options, replies},
};

/// The name of a target, as the folder of its corpus has it, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 6] = [
    ("bull_options", bull_options),
    ("filters", filters),
    ("job_data", job_data),
    ("packets", packets),
    ("replies", replies),
    ("tokens", tokens),
];

/// The input before and after its first line break.
pub(crate) fn halves(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    (&input[..end], input.get(end + 1..).unwrap_or_default())
}
