//! The description, the route table and the table of codes are one.

use std::collections::BTreeSet;

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::harness::contract::DESCRIPTION;
use crate::harness::{TestApp, on_both_databases};

on_both_databases![bodies_are_read_as_described, the_description_is_served];

#[test]
fn the_file_is_what_the_code_says() {
    let file =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.yaml")).unwrap();
    let code = inkpot::openapi::render("").unwrap().yaml;
    assert!(
        file == code,
        "openapi.yaml is not what the code says: run `make openapi`"
    );
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let routes: BTreeSet<(String, String)> = inkpot::routes::endpoints()
        .iter()
        .flat_map(|endpoint| {
            let path = endpoint.path().to_owned();
            endpoint
                .methods()
                .into_iter()
                .map(move |method| (path.clone(), method.as_str().to_lowercase()))
        })
        .collect();
    let described: BTreeSet<(String, String)> = DESCRIPTION["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(move |method| (path.clone(), method.clone()))
        })
        .collect();
    assert_eq!(routes, described);
}

#[test]
fn the_tags_that_are_declared_are_those_that_are_used() {
    let names = |value: &Value| -> Vec<String> {
        let name = |name: &Value| name.as_str().unwrap().to_owned();
        value.as_array().unwrap().iter().map(name).collect()
    };
    let declared = DESCRIPTION["tags"].as_array().unwrap().iter();
    let declared: Vec<String> = declared
        .map(|tag| tag["name"].as_str().unwrap().to_owned())
        .collect();
    let operations = DESCRIPTION["paths"].as_object().unwrap().values();
    let used: Vec<String> = operations
        .flat_map(|path| path.as_object().unwrap().values())
        .flat_map(|operation| names(&operation["tags"]))
        .collect();
    let set = |names: &[String]| names.iter().cloned().collect::<BTreeSet<String>>();
    assert_eq!(set(&declared), set(&used));
    assert_eq!(set(&declared).len(), declared.len(), "each once");
}

#[test]
fn the_codes_are_the_enum() {
    let table: Vec<&str> = inkpot::error::TABLE.iter().map(|row| row.name).collect();
    let unique: BTreeSet<&&str> = table.iter().collect();
    assert_eq!(unique.len(), table.len());
    for (schema, field) in [("Problem", "code"), ("FieldError", "code")] {
        let listed = &DESCRIPTION["components"]["schemas"][schema]["properties"][field]["enum"];
        assert_eq!(*listed, json!(table), "{schema}");
    }
    for row in inkpot::error::TABLE {
        assert_eq!(
            row.code.name(),
            row.name,
            "the enum and the table have one order"
        );
    }
}

#[test]
fn every_problem_code_is_raised_somewhere() {
    let mut listed: BTreeSet<&str> = operations()
        .flat_map(|operation| operation["responses"].as_object().unwrap().values())
        .flat_map(|response| response["x-codes"].as_array().into_iter().flatten())
        .map(|code| code.as_str().unwrap())
        .collect();
    // Raised before there is an operation.
    listed.extend([
        "not_found",
        "method_not_allowed",
        "malformed_request",
        "headers_too_large",
        "uri_too_long",
        "request_timeout",
    ]);
    let table: BTreeSet<&str> = inkpot::error::TABLE
        .iter()
        .filter(|row| row.status.is_some())
        .map(|row| row.name)
        .collect();
    assert_eq!(listed, table);
}

#[test]
fn every_operation_is_named_and_guarded_as_it_says() {
    let mut ids = BTreeSet::new();
    for operation in operations() {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id), "{id} twice");
        assert!(!operation["summary"].as_str().unwrap().is_empty());
        let security = operation["security"].as_array().unwrap();
        let asks = operation["responses"].get("401").is_some_and(|r| {
            r["x-codes"]
                .as_array()
                .unwrap()
                .contains(&json!("token_missing"))
        });
        // An empty requirement among others: a token may be sent, and need not.
        if security.is_empty() {
            // What refreshes is asked for in the body or the cookie.
            assert_eq!(asks, id == "refresh", "{id}");
        } else if !security.contains(&json!({})) {
            assert!(asks, "{id}");
        }
    }
}

fn operations() -> impl Iterator<Item = &'static Value> {
    DESCRIPTION["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
}

/// What a body lacks when it is empty is what the description requires, and a field
/// that is not described is refused.
async fn bodies_are_read_as_described(app: TestApp) {
    let ann = app.admin("ann").await;
    for (path, item) in DESCRIPTION["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let path = path.replace("{id}", "1");
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            let Some(name) = body["$ref"].as_str() else {
                continue;
            };
            let name = name.rsplit('/').next().unwrap();
            let schema = &DESCRIPTION["components"]["schemas"][name];
            // Where a field has several names, one schema for each; the first is the one
            // that an empty body is told of.
            let schemas = schema["oneOf"]
                .as_array()
                .map_or_else(|| vec![schema], |all| all.iter().collect());
            let mut body = json!({ "surely_not_a_field": 1 });
            for schema in &schemas {
                assert_eq!(schema["additionalProperties"], json!(false), "{name}");
                for field in schema["properties"].as_object().unwrap().keys() {
                    body[field] = json!([]);
                }
            }
            let answer = ann.call(method.clone(), &path, body).await;
            let answer = answer.problem("validation_failed");
            let faults = answer["errors"].as_array().unwrap();
            let unknown: Vec<&Value> = faults
                .iter()
                .filter(|fault| fault["code"] == "field_unknown")
                .map(|fault| &fault["pointer"])
                .collect();
            assert_eq!(unknown, ["/surely_not_a_field"], "{path}");

            let required: BTreeSet<&str> = schemas[0]["required"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|field| field.as_str().unwrap())
                .collect();
            if required.is_empty() {
                continue;
            }
            let answer = ann.call(method, &path, json!({})).await;
            let answer = answer.problem("validation_failed");
            let missing: BTreeSet<&str> = answer["errors"]
                .as_array()
                .unwrap()
                .iter()
                .map(|fault| fault["pointer"].as_str().unwrap().trim_start_matches('/'))
                .collect();
            assert_eq!(missing, required, "{path}");
        }
    }
}

async fn the_description_is_served(app: TestApp) {
    let yaml = app.anonymous().get("/openapi.yaml").await;
    assert_eq!(yaml.header("content-type"), "application/yaml");
    assert_eq!(yaml.text(), inkpot::openapi::render("").unwrap().yaml);
    let json = app.anonymous().get("/openapi.json").await;
    assert_eq!(json.expect(200), *DESCRIPTION);
    assert_eq!(json.json()["openapi"], "3.1.0");
}
