//! The direction of the house: who may import whom, read from the `use` lines.
//!
//! ```text
//! server, cli, state ─► routes ─► actions ─► storage ─► types ─► core
//!                          └────► http ─► error ─► core
//! ```
//!
//! A file's floor follows from its path. What breaks the direction is named as an arrow
//! from file to file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// Files that a circle of imports may have at most.
const LARGEST_CIRCLE: usize = 4;

/// The rooms of the product.
const ROOMS: [&str; 7] = [
    "accounts",
    "jobs",
    "maintenance",
    "notify",
    "posts",
    "presence",
    "social",
];

/// What stands on the floor of the actions in a room: what it does outside of requests.
const ACTING: [&str; 4] = ["actions", "jobs", "notifications", "worker"];

/// How high a file stands; imports go down, or stay on their floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Floor {
    Core,
    Error,
    Http,
    Types,
    Storage,
    Actions,
    /// Extractors, which a room offers to the routes of others.
    Extract,
    Routes,
    /// The route table, the description, the service about itself, the page.
    Table,
    State,
    Top,
}

fn floor(file: &str) -> Floor {
    let parts: Vec<&str> = file.split('/').collect();
    let is = |name: &str| {
        parts[1..].contains(&name) || parts.last() == Some(&format!("{name}.rs").as_str())
    };
    match parts[0] {
        "core" => Floor::Core,
        "error.rs" => Floor::Error,
        "http" => Floor::Http,
        room if ROOMS.contains(&room) => {
            if is("routes") {
                Floor::Routes
            } else if is("extract") {
                Floor::Extract
            } else if ACTING.iter().any(|name| is(name)) {
                Floor::Actions
            } else if is("storage") {
                Floor::Storage
            } else {
                Floor::Types
            }
        }
        "routes.rs" | "openapi.rs" | "meta.rs" | "meta" | "page" => Floor::Table,
        "state.rs" => Floor::State,
        _ => Floor::Top,
    }
}

/// Why `from` may not import `to`; `None` when it may.
fn refusal(from: &str, to: &str) -> Option<&'static str> {
    let (high, low) = (floor(from), floor(to));
    if low > high {
        return Some("goes up");
    }
    let room = |file: &str| file.split('/').next().map(str::to_owned);
    let is_foreign = room(from) != room(to);
    match low {
        Floor::Storage if is_foreign => Some("reaches into another room's storage"),
        Floor::Routes if is_foreign && high == Floor::Routes => {
            Some("reaches into another room's routes")
        }
        Floor::Http if (Floor::Types..=Floor::Actions).contains(&high) => match (high, to) {
            // Bodies describe themselves to the toolkit that reads them.
            (Floor::Types, _) => None,
            _ => Some("speaks HTTP below the routes"),
        },
        Floor::Error if high == Floor::Storage => Some("knows of answers below the actions"),
        _ => None,
    }
}

/// Every source file, by its path below `src`, with its text.
fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut open = vec![root.clone()];
    let mut all = BTreeMap::new();
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                all.insert(name, std::fs::read_to_string(path).unwrap());
            }
        }
    }
    all
}

/// The module that a file is, as `a::b`; empty for the crate.
fn module_of(file: &str) -> String {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    match path {
        "lib" | "main" => String::new(),
        path => path.replace('/', "::"),
    }
}

/// How a path of this crate begins, but for those that begin with a module below.
const STARTS: [&str; 3] = ["crate::", "super::", "self::"];

/// The paths that a file uses, from `crate` on, without its tests.
fn paths(file: &str, text: &str) -> BTreeSet<String> {
    let module = module_of(file);
    // Tests stand at the end; a file of tests is named anywhere.
    let text = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let code: String = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    let mut found = BTreeSet::new();
    for start in STARTS {
        for (at, _) in code.match_indices(start) {
            let is_inside = code[..at]
                .chars()
                .next_back()
                .is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$');
            // A place that may see something, as in `pub(in crate::core)`, is no import.
            if !is_inside && !code[..at].ends_with("(in ") {
                spread(&code[at..], &module, &mut found);
            }
        }
    }
    // The rest of what is imported is a module below this one, or another crate's.
    for start in ["use ", "pub use "] {
        for (at, _) in code.match_indices(&format!("\n{start}")) {
            let path = &code[at + 1 + start.len()..];
            if !STARTS.iter().any(|start| path.starts_with(start)) {
                spread(path, &module, &mut found);
            }
        }
    }
    found
}

/// Adds the paths that the text begins with, `{…}` taken apart, below the crate.
fn spread(text: &str, module: &str, found: &mut BTreeSet<String>) {
    let mut base: Vec<String> = module
        .split("::")
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    let mut rest = text;
    if let Some(after) = rest.strip_prefix("crate::") {
        base.clear();
        rest = after;
    }
    if let Some(after) = rest.strip_prefix("self::") {
        rest = after;
    }
    while let Some(after) = rest.strip_prefix("super::") {
        base.pop();
        rest = after;
    }
    leaves(rest, &base.join("::"), found);
}

/// Adds every leaf of a tree of imports.
fn leaves(text: &str, base: &str, found: &mut BTreeSet<String>) {
    let text = text.trim_start();
    let below = |part: &str| match base {
        "" => part.to_owned(),
        base => format!("{base}::{part}"),
    };
    if let Some(inner) = text.strip_prefix('{') {
        let mut depth = 0;
        let mut begin = 0;
        for (at, c) in inner.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => {
                    leaves(&inner[begin..at], base, found);
                    return;
                }
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    leaves(&inner[begin..at], base, found);
                    begin = at + 1;
                }
                _ => {}
            }
        }
        return;
    }
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    let name = &text[..end];
    if name.is_empty() || name == "self" {
        found.insert(base.to_owned());
        return;
    }
    match text[end..].strip_prefix("::") {
        Some(rest) => leaves(rest, &below(name), found),
        None => {
            found.insert(below(name));
        }
    }
}

/// From each file to those that it imports.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let sources = sources();
    let files: HashMap<String, &String> = sources.keys().map(|f| (module_of(f), f)).collect();
    let mut all = BTreeMap::new();
    for (file, text) in &sources {
        if Path::new(file)
            .file_stem()
            .is_some_and(|stem| stem.to_string_lossy().ends_with("tests"))
            || file.contains("/tests/")
        {
            continue;
        }
        let mut taken = BTreeSet::new();
        for path in paths(file, text) {
            let mut module = path.as_str();
            // The longest beginning that is a file; the rest is an item of it.
            let target = loop {
                if let Some(target) = files.get(module) {
                    break Some((*target).clone());
                }
                match module.rsplit_once("::") {
                    Some((shorter, _)) => module = shorter,
                    None => break None,
                }
            };
            // The crate itself has modules only.
            taken.extend(target.filter(|t| t != file && t != "lib.rs" && t != "main.rs"));
        }
        all.insert(file.clone(), taken);
    }
    all
}

#[test]
fn imports_go_down() {
    let mut broken = Vec::new();
    for (from, taken) in imports() {
        for to in taken {
            if let Some(why) = refusal(&from, &to) {
                broken.push(format!("{from} -> {to}: {why}"));
            }
        }
    }
    assert!(
        broken.is_empty(),
        "{} arrows break the direction:\n{}",
        broken.len(),
        broken.join("\n")
    );
}

#[test]
fn no_circle_of_imports_is_large() {
    let imports = imports();
    let reach = |from: &String| {
        let mut open = vec![from.clone()];
        let mut seen = BTreeSet::new();
        while let Some(file) = open.pop() {
            for next in imports.get(&file).into_iter().flatten() {
                if seen.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> =
        imports.keys().map(|file| (file, reach(file))).collect();
    let mut circles: BTreeSet<Vec<&String>> = BTreeSet::new();
    for (file, seen) in &reached {
        let circle: Vec<&String> = seen
            .iter()
            .filter(|other| reached.get(other).is_some_and(|back| back.contains(*file)))
            .collect();
        if circle.len() > LARGEST_CIRCLE {
            circles.insert(circle);
        }
    }
    assert!(circles.is_empty(), "circles of imports: {circles:#?}");
}

#[test]
fn trees_of_imports_are_taken_apart() {
    let text = "use crate::a::{b, c::{D, e::*}, self};\nuse super::f;\n// use crate::no;\nlet x = crate::g::h();";
    let found = paths("p/q.rs", text);
    for path in ["a::b", "a::c::D", "a::c::e", "a", "p::f", "g::h"] {
        assert!(found.contains(path), "{path} in {found:?}");
    }
    assert_eq!(found.len(), 6, "{found:?}");
}

#[test]
fn what_stands_below_tests_that_are_a_file_and_modules_below_are_seen() {
    let text = "mod b;\n#[cfg(test)]\nmod tests;\nmod c;\n\nuse b::D;\npub use c::{E, F};\nuse crate::g;\n\
                pub(in crate::h) fn i() {}\n\
                #[cfg(test)]\nmod tests {\n    use crate::no;\n}\n";
    let found = paths("a/mod.rs", text);
    let expected = ["a::b::D", "a::c::E", "a::c::F", "g"];
    assert_eq!(found, expected.map(str::to_owned).into());
}

#[test]
fn an_arrow_that_goes_up_is_refused() {
    assert_eq!(refusal("core/db/mod.rs", "posts/types.rs"), Some("goes up"));
    assert!(refusal("http/body.rs", "state.rs").is_some());
    assert!(refusal("posts/actions/mod.rs", "accounts/storage/users.rs").is_some());
    assert!(refusal("posts/routes/posts.rs", "accounts/routes/own.rs").is_some());
    assert!(refusal("posts/actions/mod.rs", "http/body.rs").is_some());
    assert_eq!(
        refusal("posts/routes/posts.rs", "accounts/extract.rs"),
        None
    );
    assert_eq!(
        refusal("posts/actions/mod.rs", "posts/storage/lists.rs"),
        None
    );
}
