//! What is for those who watch, in `deploy/`: every metric that it names is there.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::metrics::{FAMILIES, WITH_REDIS, WITH_REPLICA};

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The names of metrics in expressions.
fn names(expressions: &str) -> BTreeSet<&str> {
    let starts = ["inkpot_", "http_server_", "db_client_", "process_"];
    let labels = [
        "db_client_connection_pool_name",
        "db_client_connection_state",
    ];
    (expressions.split(|c: char| !(c.is_ascii_lowercase() || c == '_')))
        .filter(|word| starts.iter().any(|start| word.starts_with(start)))
        .filter(|word| !labels.contains(word))
        .collect()
}

/// Whether a sample of that name is told, as far as its ending says.
fn is_told(name: &str) -> bool {
    let families = || (FAMILIES.into_iter().chain(WITH_REDIS)).chain(WITH_REPLICA);
    let is_counter = |family: &str| name.strip_suffix("_total") == Some(family);
    let is_histogram = |family: &str| {
        family.ends_with("_seconds")
            && ["_bucket", "_count", "_sum"]
                .iter()
                .any(|suffix| name.strip_suffix(suffix) == Some(family))
    };
    families().any(|family| is_counter(family) || is_histogram(family) || family == name)
}

#[test]
fn every_metric_of_the_dashboard_is_told() {
    let text = read("deploy/grafana/inkpot.json");
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut expressions = String::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_i64().unwrap()), "{panel}");
        for target in panel["targets"].as_array().into_iter().flatten() {
            expressions.push_str(target["expr"].as_str().unwrap());
            expressions.push('\n');
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if let Some(query) = variable["query"]["query"].as_str() {
            expressions.push_str(query);
        }
    }
    let names = names(&expressions);
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        assert!(is_told(name), "{name}");
    }
}

#[test]
fn every_metric_of_the_alerts_is_told() {
    let text = read("deploy/prometheus/inkpot.rules.yml");
    // What is said to people names none.
    let names = names(&text);
    assert!(names.len() > 12, "{names:?}");
    for name in names {
        assert!(is_told(name), "{name}");
    }
    assert_eq!(
        text.matches("- alert: ").count(),
        text.matches("expr: ").count()
    );
    assert_eq!(
        text.matches("- alert: ").count(),
        text.matches("severity: page}").count() + text.matches("severity: ticket}").count()
    );
}

#[test]
fn every_metric_of_the_manual_is_told_and_the_other_way_round() {
    let text = read("docs/watching.md");
    let table: String = (text.lines())
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| line.split('|').nth(1))
        .flat_map(|cell| [cell, "\n"])
        .collect();
    let shown: BTreeSet<&str> = names(&table);
    for name in &shown {
        assert!(is_told(name), "{name}");
    }
    for family in (FAMILIES.into_iter().chain(WITH_REDIS)).chain(WITH_REPLICA) {
        let total = format!("{family}_total");
        let last = family.rsplit('_').next().unwrap();
        let short = table.contains("`…_") && table.contains(&format!("_{last}"));
        assert!(
            shown.contains(family) || shown.contains(total.as_str()) || short,
            "{family} is not in the manual"
        );
    }
}
