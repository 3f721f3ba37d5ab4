//! The README's tour, executed literally: every fenced `sh` block between its two
//! marks, against a server that was started as the README says.

use std::process::Command;

use crate::harness::left_out;
use crate::harness::process::{Process, inkpot};

#[test]
fn the_tour_works_as_it_is_written() {
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let tour = readme
        .split("<!-- tour -->")
        .nth(1)
        .expect("the tour stands between two marks");
    let blocks: Vec<&str> = tour
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(blocks.len() >= 5, "the tour has its steps");
    for tool in ["curl", "http"] {
        let look = format!("command -v {tool}");
        let found = Command::new("sh").args(["-c", &look]).output().unwrap();
        if !found.status.success() {
            left_out::say("the README's tour.", &format!("There is no {tool} here"));
            return;
        }
    }

    let dir = tempfile::tempdir().unwrap();
    let server = Process::start(&mut inkpot(dir.path()));
    // One shell for all, as a reader has; the address is the only thing replaced.
    let script =
        format!("set -eu\n{}", blocks.join("\n")).replace("http://127.0.0.1:8080", &server.url());
    let ran = Command::new("bash")
        .args(["-o", "pipefail", "-c", &script])
        .current_dir(dir.path())
        .env("HOME", dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );

    // What the README shows as answers is what came, ids and times aside.
    for expected in tour
        .split("```json\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
    {
        let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
        let found = said
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .any(|line| same_shape(&expected, &line));
        assert!(found, "no answer looks like {expected}\n{said}");
    }
}

/// The same members, and the same values except for texts that change by nature.
fn same_shape(expected: &serde_json::Value, found: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Object, String};
    match (expected, found) {
        (Object(a), Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(name, value)| {
                    let changes = [
                        "created",
                        "updated",
                        "date",
                        "token",
                        "request_id",
                        "refresh_token",
                        "refresh_expires_in",
                    ];
                    b.get(name).is_some_and(|other| {
                        changes.contains(&name.as_str()) || same_shape(value, other)
                    })
                })
        }
        (Array(a), Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_shape(a, b))
        }
        (String(a), String(b)) => a == b,
        (a, b) => a == b,
    }
}
