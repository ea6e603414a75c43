//! A test's way to have the parser end the process, as a stack overflow would. Not in a release build.

use std::sync::LazyLock;

/// What data has in it that must end the process: the variable `OCTAVO_TEST_ABORT_ON`.
#[expect(clippy::disallowed_methods, reason = "a test's own switch, and no setting of the service")]
static ABORT_ON: LazyLock<Option<String>> =
    LazyLock::new(|| std::env::var("OCTAVO_TEST_ABORT_ON").ok().filter(|text| !text.is_empty()));

/// Ends the process if a test wants that for this data.
pub(super) fn if_asked(data: &[u8]) {
    let asked = |text: &String| data.windows(text.len()).any(|window| window == text.as_bytes());
    if ABORT_ON.as_ref().is_some_and(asked) {
        std::process::abort();
    }
}
