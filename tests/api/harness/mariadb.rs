//! A MariaDB of a test's own that keeps what it acknowledged when it is killed, as one in
//! production does. The suite's own server (`tests/private-mariadb`) does not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::left_out;
use super::nginx::free_address;
use super::process::output;

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(60);
const PASSWORD: &str = "inkpot";

/// Ends with this.
pub struct Mariadb {
    child: Option<Child>,
    /// `127.0.0.1:port`, always the same one.
    pub address: String,
    /// Where its files are: `data`, `socket`, `log`.
    pub directory: PathBuf,
    /// What it is started with beside what all are.
    arguments: &'static [&'static str],
    /// Takes the directory with it, unless another one was given.
    _own: Option<tempfile::TempDir>,
}

impl Mariadb {
    /// In a directory of its own; `None` where there is no program, which was said loudly.
    pub fn start() -> Option<Self> {
        Self::start_at(None)
    }

    /// The same in a directory that is given.
    pub fn start_in(directory: &Path) -> Option<Self> {
        Self::start_at(Some(directory))
    }

    fn start_at(directory: Option<&Path>) -> Option<Self> {
        let server = Self::start_with(directory, &[])?;
        server.sql(&made());
        Some(server)
    }

    /// One that has a replica, and that one.
    pub fn start_with_replica() -> Option<(Self, Self)> {
        let primary = Self::start_with(None, &["--server-id=1", "--log-bin=log-bin"])?;
        let replica = Self::start_with(None, &["--server-id=2", "--read-only"])?;
        let (host, port) = primary.address.split_once(':').unwrap();
        // Users and the database come from the primary.
        primary.sql(&format!(
            "{}; GRANT REPLICATION SLAVE ON *.* TO inkpot@'%'",
            made()
        ));
        replica.sql(&format!(
            "CHANGE MASTER TO MASTER_HOST='{host}', MASTER_PORT={port}, MASTER_USER='inkpot', \
             MASTER_PASSWORD='{PASSWORD}', MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1; \
             START SLAVE"
        ));
        Some((primary, replica))
    }

    fn start_with(directory: Option<&Path>, arguments: &'static [&'static str]) -> Option<Self> {
        let found = output(Command::new("bash").args(["-c", "command -v mariadbd mariadb"]));
        if !found.status.success() || std::env::var_os("INKPOT_TEST_MYSQL_URL").is_some() {
            left_out::say(
                "tests that kill MariaDB.",
                "There is no mariadbd here, or another server is given",
            );
            return None;
        }
        let own = directory.is_none().then(|| tempfile::tempdir().unwrap());
        let directory = directory
            .or(own.as_ref().map(tempfile::TempDir::path))
            .unwrap()
            .to_owned();
        // A server that starts clears away what lies of others in the directory for temporary tables.
        std::fs::create_dir_all(directory.join("tmp")).unwrap();
        let mut install = Command::new("mariadb-install-db");
        install
            .args(["--no-defaults", "--rpm", "--skip-test-db"])
            .args([
                "--auth-root-authentication-method=normal",
                "--datadir=./data",
            ])
            .args(options())
            .env("TMPDIR", directory.join("tmp"))
            .current_dir(&directory);
        let installed = output(&mut install);
        let said = String::from_utf8_lossy(&installed.stderr);
        assert!(installed.status.success(), "{said}");
        let mut server = Self {
            child: None,
            address: free_address(),
            directory,
            arguments,
            _own: own,
        };
        server.restart();
        Some(server)
    }

    /// As `DATABASE_URL` takes it, by way of another address.
    pub fn url_at(address: &str) -> String {
        format!("mysql://inkpot:{PASSWORD}@{address}/inkpot?prefer_socket=false")
    }

    /// Kills it; nobody answers at its port any more.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Stops it as a service manager does; returns when it has ended.
    pub fn stop(&mut self) {
        self.signal("TERM");
        self.child.take().unwrap().wait().unwrap();
    }

    /// Sends it a signal by name, such as STOP.
    pub fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id();
        let sent = output(Command::new("kill").args([&format!("-{name}"), &id.to_string()]));
        assert!(sent.status.success());
    }

    /// Starts it again after [`kill`](Self::kill) or [`stop`](Self::stop), with what it had; returns when it answers.
    pub fn restart(&mut self) {
        let path = |name: &str| self.directory.join(name);
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(path("log"))
            .unwrap();
        let (_, port) = self.address.split_once(':').unwrap();
        let child = Command::new("mariadbd")
            .arg("--no-defaults")
            .arg(format!("--datadir={}", path("data").display()))
            .arg(format!("--socket={}", path("socket").display()))
            .arg(format!("--pid-file={}", path("pid").display()))
            .args(["--bind-address=127.0.0.1", &format!("--port={port}")])
            .args(options())
            .args(self.arguments)
            .env("TMPDIR", path("tmp"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let begun = Instant::now();
        while !self.answers() {
            let log = || std::fs::read_to_string(path("log")).unwrap();
            assert!(begun.elapsed() < PATIENCE, "{}", log());
            std::thread::yield_now();
        }
    }

    /// Whether it greets who connects.
    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(&self.address) else {
            return false;
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.read(&mut [0]).is_ok_and(|length| length > 0)
    }

    /// Runs statements as root.
    pub fn sql(&self, sql: &str) {
        self.ask(sql);
    }

    /// The same with what they find: a line for each row.
    pub fn ask(&self, sql: &str) -> String {
        let ran = output(self.client().args(["--skip-column-names", "-e", sql]));
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{sql}: {said}");
        String::from_utf8(ran.stdout).unwrap()
    }

    /// The same of statements in lines of their own, each whatever those before it say: what they find, and
    /// what they say.
    pub fn try_sql(&self, sql: &str) -> (String, String) {
        let mut client = self.client();
        client.args(["--force", "-N"]).stdin(Stdio::piped());
        client.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut client = client.spawn().unwrap();
        let mut input = client.stdin.take().unwrap();
        input.write_all(sql.as_bytes()).unwrap();
        drop(input);
        let ran = client.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&ran.stdout), text(&ran.stderr))
    }

    /// A session of root's that has said this, and ends with the child.
    pub fn session(&self, sql: &str) -> Child {
        let mut client = self.client();
        client.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = client.spawn().unwrap();
        let told = "SELECT 'done'";
        writeln!(child.stdin.as_mut().unwrap(), "{sql};\n{told};").unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // What follows may be the rows of it.
        assert!(lines.any(|line| line.unwrap() == "done"), "{sql}");
        child
    }

    fn client(&self) -> Command {
        let mut command = Command::new("mariadb");
        command
            .arg("--no-defaults")
            .args(["--unbuffered", "--user=root"])
            .arg(format!(
                "--socket={}",
                self.directory.join("socket").display()
            ));
        command
    }
}

impl Drop for Mariadb {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The database and its user.
fn made() -> String {
    format!(
        "CREATE DATABASE inkpot CHARACTER SET utf8mb4; \
         CREATE USER inkpot@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON inkpot.* TO inkpot@'%'"
    )
}

/// What is acknowledged is on the disk. As root it must be told so.
fn options() -> Vec<&'static str> {
    let mut options = vec![
        "--character-set-server=utf8mb4",
        "--skip-name-resolve",
        "--innodb-flush-log-at-trx-commit=1",
        "--innodb-log-file-size=16M",
        "--innodb-buffer-pool-size=32M",
        "--performance-schema=OFF",
        // For those who occupy connections without a word.
        "--connect-timeout=600",
    ];
    let is_root = output(Command::new("id").arg("-u")).stdout == b"0\n";
    if is_root {
        options.push("--user=root");
    }
    options
}
