//! The snippets of docs/frontend.md, each run in Node.js as a page, a server and an app would.

use std::path::Path;
use std::process::Command;

use crate::browser::on_sqlite;
use crate::clients::{made, node, succeeds};
use crate::harness::SECRET;
use crate::harness::process::{Process, inkpot};
use crate::readme::{blocks, read};

#[test]
fn a_front_end_works_as_it_is_written() {
    let Some(python) = made("python-venv/bin/python") else {
        return;
    };
    let guide = read("docs/frontend.md");
    let snippets = blocks(&guide).into_iter();
    let snippets: Vec<String> = snippets
        .filter(|block| block.language == "js")
        .map(|block| block.text)
        .collect();
    assert!(snippets.len() >= 10, "{}", snippets.len());
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("blog.mjs"), snippets.concat()).unwrap();
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frontend.mjs");
    std::fs::copy(scenario, dir.path().join("frontend.mjs")).unwrap();
    let data = tempfile::tempdir().unwrap();
    let origin = "http://localhost:5173";
    let mut command = inkpot(data.path());
    command.args(["--cors-origins", origin]);
    command.env("INKPOT_JWT_SECRET", SECRET);
    let server = Process::start(&mut command);
    let said = succeeds(
        Command::new(node(&python))
            .args(["frontend.mjs", &server.url(), origin, SECRET])
            .current_dir(dir.path()),
    );
    assert_eq!(said, "all as described\n");
}

#[test]
fn people_do_what_they_came_for() {
    on_sqlite("journeys.mjs");
}
