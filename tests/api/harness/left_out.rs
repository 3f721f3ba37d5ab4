//! What a run does without: said loudly, and a failure where nothing may be left
//! out, which is in CI and in `make test`.

use std::io::Write;

/// Says that `what` is left out because of `why`.
#[track_caller]
pub fn say(what: &str, why: &str) {
    let is_required = ["CI", "INKPOT_TEST_REQUIRE_ALL"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    assert!(!is_required, "{why}, and this run must not do without");
    // The test runner captures what the macros print, not what is written directly.
    let line = "*".repeat(72);
    let text =
        format!("\n{line}\n* LEFT OUT: {what}\n* {why}. `make test` installs it.\n{line}\n\n");
    let _ = std::io::stderr().write_all(text.as_bytes());
}
