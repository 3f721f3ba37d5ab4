//! A real nginx with `deploy/nginx.conf`, as an operator runs it: its variables are filled in,
//! nothing else is changed.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::left_out;
use super::process::{output, shown};

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What stands around the configuration on a machine, and where a process may write that is
/// not the system's.
const MAIN: &str = "daemon off;
master_process off;
pid nginx.pid;
error_log error.log;
events {}
http {
    access_log access.log;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include inkpot.conf;
}
";

/// An address that nobody listens at now.
pub fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Ends with this.
pub struct Nginx {
    child: Child,
    /// `127.0.0.1:port`, where TLS is spoken.
    pub address: String,
    /// The same without TLS.
    pub plain_address: String,
    directory: tempfile::TempDir,
}

impl Nginx {
    /// In front of these addresses; `None` where there is no nginx, which was said loudly.
    pub fn before(servers: &[&str]) -> Option<Self> {
        let Some(program) = program() else {
            left_out::say("every test with nginx.", "There is no nginx here");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        certify(directory.path());
        let (address, plain_address) = (free_address(), free_address());
        let upstream = |server: &&str| format!("server {server} max_fails=0;");
        let servers: Vec<String> = servers.iter().map(upstream).collect();
        let mut text = crate::readme::read("deploy/nginx.conf");
        for (name, value) in [
            ("SERVERS", servers.join(" ")),
            ("HOST", "localhost".to_owned()),
            ("HTTP_LISTEN", plain_address.clone()),
            ("HTTPS_LISTEN", address.clone()),
            ("CERTIFICATE", path("server.pem")),
            ("CERTIFICATE_KEY", path("server.key")),
            ("CACHE_DIR", path("cache")),
        ] {
            let variable = format!("${{BLOG_{name}}}");
            assert!(text.contains(&variable), "{variable}");
            text = text.replace(&variable, &value);
        }
        assert!(!text.contains("${"), "a variable is left over");
        std::fs::write(path("inkpot.conf"), text).unwrap();
        std::fs::write(path("main.conf"), MAIN).unwrap();
        let command = |more: &[&str]| {
            let mut command = Command::new(&program);
            command
                .args([
                    "-p",
                    &path(""),
                    "-c",
                    &path("main.conf"),
                    "-e",
                    &path("error.log"),
                ])
                .args(more)
                .stdin(Stdio::null())
                .stdout(Stdio::null());
            command
        };
        let tested = output(command(&["-t"]).stderr(Stdio::piped()));
        let said = String::from_utf8_lossy(&tested.stderr).into_owned();
        let log = std::fs::read_to_string(path("error.log")).unwrap_or_default();
        assert!(tested.status.success(), "{said}{log}");
        assert!(!said.contains("[warn]"), "{said}");
        let child = command(&[]).spawn().unwrap();
        let nginx = Self {
            child,
            address,
            plain_address,
            directory,
        };
        nginx.await_start();
        Some(nginx)
    }

    fn await_start(&self) {
        let begun = Instant::now();
        while std::net::TcpStream::connect(&self.address).is_err() {
            assert!(begun.elapsed() < PATIENCE, "nginx does not start");
            std::thread::yield_now();
        }
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The certificate of who signed its own, as PEM.
    pub fn authority(&self) -> Vec<u8> {
        std::fs::read(self.directory.path().join("ca.pem")).unwrap()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("error.log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            shown(&format!("nginx logged: {}", self.log()));
        }
    }
}

/// Where the program is: on servers often outside of the `PATH` of users, or unpacked by
/// `tests/install-deps`.
fn program() -> Option<PathBuf> {
    let unpacked = concat!(env!("CARGO_TARGET_TMPDIR"), "/../nginx/usr/sbin/nginx");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path)
        .map(|place| place.join("nginx"))
        .collect();
    places.extend(["/usr/sbin/nginx", "/usr/local/sbin/nginx", unpacked].map(PathBuf::from));
    places.into_iter().find(|place| place.exists())
}

/// An authority and a certificate of its for this machine.
fn certify(directory: &Path) {
    const SCRIPT: &str = "
new() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \"$@\"; }
new -keyout ca.key -out ca.pem -subj '/CN=inkpot test authority' -addext basicConstraints=critical,CA:TRUE
new -CA ca.pem -CAkey ca.key -keyout server.key -out server.pem -subj '/CN=inkpot test server' \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE
";
    let made = output(
        Command::new("bash")
            .args(["-euc", SCRIPT])
            .current_dir(directory),
    );
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{said}");
}
