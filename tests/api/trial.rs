//! A trial of the search: the READMEs of the crates that this program is made of, each looked for by the words of its
//! crate's name. `make trial-search`; they lie in cargo's registry on any machine that builds the program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use inkpot::posts::html::text_of;
use inkpot::posts::types::Format;
use serde_json::json;

use crate::harness::{Backend, TestApp};

#[actix_web::test]
#[ignore = "make trial-search"]
async fn a_readme_is_found_first_by_the_name_of_its_crate_on_sqlite() {
    crate::harness::run(Backend::Sqlite, search_by_name).await;
}

#[actix_web::test]
#[ignore = "make trial-search"]
async fn a_readme_is_found_first_by_the_name_of_its_crate_on_mysql() {
    crate::harness::run(Backend::Mysql, search_by_name).await;
}

/// Names that more READMEs than so many have are looked at.
const HITS: i64 = 5;
/// Of these so many must lead to their README first …
const FIRST: usize = 60;
/// … which is so many of a hundred at least.
const FIRST_OF_HUNDRED: usize = 90;
/// Characters of a title.
const TITLE: usize = 256;

/// Name and version of the crates of `Cargo.lock`, a name once.
fn crates() -> BTreeMap<String, String> {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    let lock = std::fs::read_to_string(lock).unwrap();
    let mut crates = BTreeMap::new();
    for package in lock.split("[[package]]") {
        let value = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim_matches(['=', ' ', '"']).to_owned())
        };
        if let (Some(name), Some(version), Some(_)) =
            (value("name "), value("version "), value("source "))
        {
            crates.insert(name, version);
        }
    }
    crates
}

/// The folders of cargo's registry with the sources of crates.
fn registries() -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cargo"),
        PathBuf::from,
    );
    let folders = std::fs::read_dir(home.join("registry/src")).unwrap();
    folders.map(|folder| folder.unwrap().path()).collect()
}

fn readme(registries: &[PathBuf], name: &str, version: &str) -> Option<String> {
    let folder = registries
        .iter()
        .map(|registry| registry.join(format!("{name}-{version}")));
    let files = folder
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten();
    let file = files.map(|file| file.unwrap().path()).find(|file| {
        let name = file.file_name().unwrap().to_string_lossy().to_lowercase();
        name == "readme.md"
    })?;
    // Control characters are refused, and no text.
    let text = std::fs::read_to_string(file).ok()?;
    let is_fit = |c: &char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    let text: String = text.chars().filter(is_fit).collect();
    (!text.trim().is_empty()).then_some(text)
}

/// The first heading, as who brings Markdown along takes it for the title; without one, the name.
fn title(text: &str, name: &str) -> String {
    let mut before = "";
    let mut heading = None;
    for line in text.lines() {
        let is_underline =
            |c| !before.trim().is_empty() && line.len() > 2 && line.bytes().all(|b| b == c);
        if let Some(title) = line.strip_prefix("# ") {
            heading = Some(title);
        } else if is_underline(b'=') {
            heading = Some(before);
        } else if line.contains("<h1") {
            heading = Some(line);
        }
        if heading.is_some() {
            break;
        }
        before = line;
    }
    let text =
        text_of(Format::Markdown, heading.unwrap_or_default()).replace(char::is_control, " ");
    let text: String = text.trim().chars().take(TITLE).collect();
    if text.chars().any(char::is_alphanumeric) {
        text
    } else {
        name.to_owned()
    }
}

#[expect(clippy::print_stdout, reason = "the result, for whoever asks for it")]
async fn search_by_name(app: TestApp) {
    let registries = registries();
    let ann = app.user("ann").await;
    let mut ids = BTreeMap::new();
    for (name, version) in crates() {
        let Some(text) = readme(&registries, &name, &version) else {
            continue;
        };
        let post = json!({ "title": title(&text, &name), "content": text });
        let made = ann.post("/post", post).await.expect(201);
        ids.insert(name, made["post_id"].clone());
    }
    let (mut first, mut known) = (0, 0);
    for (name, id) in &ids {
        let words = name.replace(['-', '_'], "+");
        let page = ann
            .get(&format!("/post/?q={words}&size=100"))
            .await
            .expect(200);
        if page["pagination"]["count"].as_i64().unwrap() <= HITS {
            continue;
        }
        known += 1;
        let posts = page["posts"].as_array().unwrap();
        let place = posts.iter().position(|post| post["post_id"] == *id);
        first += usize::from(place == Some(0));
        if place != Some(0) {
            let place = place.map_or("-".to_owned(), |place| (place + 1).to_string());
            let before = posts[0]["post_title"].as_str().unwrap();
            println!("{name}: {place} of {}, behind {before:?}", posts.len());
        }
    }
    println!("{} READMEs; first for {first} of {known} names", ids.len());
    assert!(first >= FIRST && 100 * first >= FIRST_OF_HUNDRED * known);
}
