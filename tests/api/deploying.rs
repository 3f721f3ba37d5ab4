//! What is in `deploy/`, as far as it can be checked where it is not installed.

use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::process::{Process, inkpot, output};
use crate::harness::{left_out, python};
use crate::readme::read;

const UNITS: [&str; 2] = ["inkpot.service", "inkpot-worker.service"];

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// All files of a directory of the project and of those in it.
fn files(directory: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    for entry in std::fs::read_dir(root.join(directory)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{directory}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            all.extend(files(&path));
        } else {
            all.push(path);
        }
    }
    all
}

#[test]
fn the_units_are_right_and_their_services_are_confined() {
    if output(Command::new("sh").args(["-c", "command -v systemd-analyze"]))
        .stdout
        .is_empty()
    {
        left_out::say("the units of systemd.", "There is no systemd-analyze here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for name in UNITS {
        let unit = read(&format!("deploy/{name}"));
        // It looks for the program, which is not installed here.
        let installed = unit.replace("/usr/bin/inkpot", env!("CARGO_BIN_EXE_inkpot"));
        assert_ne!(unit, installed, "{name}");
        let path = dir.path().join(name);
        std::fs::write(&path, installed).unwrap();
        let verified = output(
            Command::new("systemd-analyze")
                .args(["verify", "--man=no"])
                .arg(&path),
        );
        let said = String::from_utf8_lossy(&verified.stderr);
        assert!(
            verified.status.success() && said.is_empty(),
            "{name}: {said}"
        );
        // In tenths.
        let judged = output(
            Command::new("systemd-analyze")
                .args(["security", "--offline=true", "--no-pager", "--threshold=19"])
                .arg(&path),
        );
        let said = String::from_utf8_lossy(&judged.stdout);
        assert!(judged.status.success(), "{name}: {said}");
    }
}

fn next(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

/// As systemd is told with `Type=notify` and `WatchdogSec`.
#[test]
fn a_service_manager_hears_that_it_serves_lives_and_stops() {
    for is_server in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = inkpot(dir.path());
        command
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "300000");
        let process = if is_server {
            Process::start(&mut command)
        } else {
            Process::start_worker(&mut command)
        };
        assert!(next(&socket).starts_with("READY=1\n"));
        for _ in 0..3 {
            assert_eq!(next(&socket), "WATCHDOG=1");
        }
        process.signal("TERM");
        let mut said = next(&socket);
        while said == "WATCHDOG=1" {
            said = next(&socket);
        }
        assert!(said.starts_with("STOPPING=1\n"), "{said}");
        assert_eq!(process.wait().0, Some(0));
        // Nothing behind it.
        socket.set_nonblocking(true).unwrap();
        assert!(socket.recv(&mut [0; 8]).is_err());
    }
    // The watchdog of another process is none of ours.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = inkpot(dir.path());
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "1000")
        .env("WATCHDOG_PID", "1");
    let process = Process::start(&mut command);
    // At once: also who is asked to end in the moment it says that it works ends in order.
    process.signal("TERM");
    assert_eq!(process.wait().0, Some(0));
    assert!(next(&socket).starts_with("READY=1\n"));
    assert!(next(&socket).starts_with("STOPPING=1\n"));
}

/// Words of a text that begin with `INKPOT_`.
fn variables(text: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    text.split(|c| !is_part(c))
        .filter(|word| word.starts_with("INKPOT_") && *word != "INKPOT_")
        .collect()
}

#[test]
fn every_setting_in_the_files_is_one_of_the_program() {
    // What Kubernetes sets for a service of that name, which is passed over.
    let others = ["INKPOT_PORT", "INKPOT_SERVICE_HOST"];
    let settings = inkpot::cli::args::described();
    let mut known: BTreeSet<&str> = (settings.get_arguments())
        .filter_map(|setting| setting.get_env()?.to_str())
        .collect();
    known.extend(others);
    let mut seen = 0;
    for name in files("deploy") {
        let text = read(&name);
        for variable in variables(&text) {
            assert!(known.contains(variable), "{name}: {variable} is no setting");
            seen += 1;
        }
    }
    assert!(seen > 25, "{seen}");
}

/// The documents of a YAML file as JSON.
const YAML: &str = r#"
import json, ruamel.yaml, sys
text = json.load(sys.stdin)
yaml = ruamel.yaml.YAML(typ="safe", pure=True)
print(json.dumps(list(yaml.load_all(text)), default=str))
"#;

/// `None` where Python's libraries are missing, which was said loudly.
fn documents(name: &str) -> Option<Vec<Value>> {
    let parsed = python::run(YAML, &json!(read(name)))?;
    let parsed = parsed.unwrap_or_else(|why| panic!("{name}: {why}"));
    Some(parsed.as_array().unwrap().clone())
}

#[test]
fn the_compose_files_are_of_the_schema() {
    let schema: Value = serde_json::from_str(&read("tests/schemas/compose-spec.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    for name in ["deploy/compose.yaml", "deploy/compose.mysql.yaml"] {
        let Some(documents) = documents(name) else {
            return;
        };
        let [compose] = documents.as_slice() else {
            panic!("{name} has several documents")
        };
        let wrong: Vec<String> = schema
            .iter_errors(compose)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert_eq!(wrong, [""; 0], "{name}");
        for (service, settings) in compose["services"].as_object().unwrap() {
            assert_eq!(settings["restart"], "unless-stopped", "{name}: {service}");
            // The image has one.
            let is_looked_at = settings["image"] == "inkpot" || settings["healthcheck"].is_object();
            assert!(is_looked_at, "{name}: {service} has no health check");
            for needed in settings["depends_on"].as_object().into_iter().flatten() {
                assert!(compose["services"][needed.0].is_object(), "{service}");
                assert_eq!(needed.1["condition"], "service_healthy", "{service}");
            }
        }
    }
    // A slip is seen.
    let slip = json!({ "services": { "server": { "imagee": "inkpot" } } });
    assert!(!schema.is_valid(&slip));
}

#[test]
fn the_objects_of_kubernetes_belong_together() {
    let Some(objects) = documents("deploy/kubernetes.yaml") else {
        return;
    };
    let named = |kind: &str, name: &Value| {
        objects
            .iter()
            .find(|object| object["kind"] == kind && &object["metadata"]["name"] == name)
    };
    let mut kinds = BTreeSet::new();
    let mut pods = Vec::new();
    for object in &objects {
        kinds.insert(object["kind"].as_str().unwrap());
        if object["kind"] != "Deployment" {
            continue;
        }
        let template = &object["spec"]["template"];
        let labels = &template["metadata"]["labels"];
        assert_eq!(&object["spec"]["selector"]["matchLabels"], labels);
        pods.push(labels);
        let pod = &template["spec"];
        assert!(pod["terminationGracePeriodSeconds"].as_i64() >= Some(25));
        for container in pod["containers"].as_array().unwrap() {
            for from in container["envFrom"].as_array().unwrap() {
                named("ConfigMap", &from["configMapRef"]["name"]).expect("a map of settings");
            }
            for mount in container["volumeMounts"].as_array().unwrap() {
                let mut volumes = pod["volumes"].as_array().unwrap().iter();
                assert!(volumes.any(|volume| volume["name"] == mount["name"]));
            }
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                if let Some(path) = container[probe]["httpGet"]["path"].as_str() {
                    assert!(["/livez", "/readyz"].contains(&path), "{path}");
                    assert_eq!(
                        container[probe]["httpGet"]["port"],
                        container["ports"][0]["name"]
                    );
                }
            }
        }
    }
    let expected = [
        "ConfigMap",
        "Deployment",
        "Ingress",
        "PodDisruptionBudget",
        "Service",
    ];
    assert_eq!(kinds, expected.into());
    let service = named("Service", &json!("inkpot")).unwrap();
    assert!(pods.contains(&&service["spec"]["selector"]));
    let ingress = named("Ingress", &json!("inkpot")).unwrap();
    let path = &ingress["spec"]["rules"][0]["http"]["paths"][0];
    let backend = &path["backend"]["service"];
    named("Service", &backend["name"]).expect("the service behind the ingress");
    assert_eq!(backend["port"]["name"], service["spec"]["ports"][0]["name"]);
}

#[test]
fn a_release_is_made_of_what_is_there() {
    let Some(workflow) = documents(".github/workflows/release.yml") else {
        return;
    };
    let jobs = workflow[0]["jobs"].as_object().unwrap();
    for (name, job) in jobs {
        if let Some(needed) = job["needs"].as_str() {
            assert!(jobs.contains_key(needed), "{name} needs {needed}");
        }
        for step in job["steps"].as_array().unwrap() {
            let is_step = step["uses"].is_string() || step["run"].is_string();
            assert!(is_step, "{name}: {step}");
            // Pinned to a major version at least.
            if let Some(action) = step["uses"].as_str() {
                assert!(action.contains("@v"), "{action}");
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // What the package is made of.
    let manifest = read("Cargo.toml");
    let package = manifest.split("[package.metadata.deb]").nth(1).unwrap();
    let package = package.split("\n[").next().unwrap();
    let assets: Vec<&str> = (package.lines())
        .filter_map(|line| line.trim().strip_prefix("[\"")?.split('"').next())
        .collect();
    assert!(assets.len() >= 6, "{assets:?}");
    for asset in assets {
        let is_built = asset.starts_with("target/release/");
        assert!(is_built || root.join(asset).exists(), "{asset}");
    }
    for script in files("deploy/debian") {
        let checked = output(Command::new("sh").arg("-n").arg(root.join(&script)));
        assert!(checked.status.success(), "{script}");
    }
    // What the image is made of.
    for name in ["src", "migrations", "benches", "Cargo.lock", "build.rs"] {
        let ignored = read("deploy/Dockerfile.dockerignore");
        assert!(ignored.lines().all(|line| line != name), "{name}");
    }
}
