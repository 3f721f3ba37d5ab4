//! Python's libraries as a second opinion.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::left_out;

/// Runs a script with `input` as JSON on its standard input: its output as JSON, or
/// what it said when it failed. `None`, said loudly, where the libraries are missing.
pub fn run(script: &str, input: &Value) -> Option<Result<Value, String>> {
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../python-venv/bin/python");
    if !python.exists() {
        left_out::say(
            "tests against Python's libraries.",
            "There is no target/python-venv",
        );
        return None;
    }
    let mut child = Command::new(&python)
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.to_string().as_bytes()).unwrap();
    drop(stdin);
    let ended = child.wait_with_output().unwrap();
    let errors = String::from_utf8(ended.stderr).unwrap();
    assert!(
        !errors.contains("ModuleNotFoundError"),
        "make it again with: rm -r target/python-venv; tests/python-venv\n{errors}"
    );
    if !ended.status.success() {
        return Some(Err(errors));
    }
    Some(Ok(serde_json::from_slice(&ended.stdout).unwrap()))
}
