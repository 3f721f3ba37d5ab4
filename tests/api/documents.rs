//! What the documents say beside their examples: their links lead somewhere, and the table
//! of settings is that of the program.

use std::collections::BTreeSet;
use std::path::Path;

use inkpot::cli::args;

use crate::readme::read;

/// All documents, by their paths in the project.
fn documents() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all: Vec<String> = Vec::new();
    for directory in ["", "docs/"] {
        for entry in std::fs::read_dir(root.join(directory)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if Path::new(&name).extension().is_some_and(|ext| ext == "md") {
                all.push(format!("{directory}{name}"));
            }
        }
    }
    assert!(all.len() >= 10, "{all:?}");
    all
}

/// The text without its fenced blocks and without what stands between backticks.
fn prose(document: &str) -> String {
    let fenced = document.split("```").step_by(2);
    let all: String = fenced.collect();
    all.split('`').step_by(2).collect()
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(document: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let text: String = document.split("```").step_by(2).collect();
    for line in text.lines().filter(|line| line.starts_with('#')) {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let anchor: String = title
            .chars()
            .filter_map(|c| match c {
                ' ' => Some('-'),
                '-' | '_' => Some(c),
                c => c.is_alphanumeric().then_some(c),
            })
            .collect();
        // The second of a name, and the third.
        let mut free = (1..).map(|n| format!("{anchor}-{n}"));
        let anchor = if all.contains(&anchor) {
            free.find(|anchor| !all.contains(anchor)).unwrap()
        } else {
            anchor
        };
        all.insert(anchor);
    }
    all
}

#[test]
fn every_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for name in documents() {
        let document = read(&name);
        for rest in prose(&document).split("](").skip(1) {
            let target = rest.split(')').next().unwrap();
            if target.contains("://") {
                continue;
            }
            seen += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() {
                root.join(&name)
            } else {
                root.join(&name).parent().unwrap().join(file)
            };
            assert!(path.exists(), "{name}: there is no {target}");
            if !anchor.is_empty() {
                let there = std::fs::read_to_string(&path).unwrap();
                assert!(
                    anchors(&there).contains(anchor),
                    "{name}: there is no {target}"
                );
            }
        }
    }
    assert!(seen > 40, "{seen} links");
}

#[test]
fn the_table_of_settings_is_that_of_the_program() {
    let document = read("docs/settings.md");
    let rows: Vec<Vec<&str>> = document
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let command = args::described();
    let mut settings = Vec::new();
    for arg in command.get_arguments() {
        let Some(name) = arg.get_env() else { continue };
        let name = name.to_str().unwrap();
        let row = rows
            .iter()
            .find(|row| row[0] == format!("`{name}`"))
            .unwrap_or_else(|| panic!("{name} is not in the table"));
        if let [default] = arg.get_default_values() {
            assert_eq!(row[1], format!("`{}`", default.display()), "{name}");
        } else {
            // What the help says about it, in the table's words.
            let shown = [
                "none",
                "both",
                "made",
                "one a",
                "SQLite",
                "`http://`",
                "`Inkpot <",
                "the page",
            ];
            assert!(shown.iter().any(|word| row[1].starts_with(word)), "{row:?}");
        }
        settings.push(name.to_owned());
    }
    assert_eq!(rows.len(), settings.len());
    // Nor does any document name one that is not there.
    for name in documents().iter().filter(|name| *name != "CHANGELOG.md") {
        let text = read(name);
        for word in
            text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
        {
            let is_other = !word.starts_with("INKPOT_")
                || word.starts_with("INKPOT_TEST_")
                || ["INKPOT_", "INKPOT_SERVICE_HOST", "INKPOT_PORT"].contains(&word);
            assert!(
                is_other || settings.iter().any(|s| s == word),
                "{name}: {word}"
            );
        }
    }
}
