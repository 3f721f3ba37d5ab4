//! The description, the route table and the table of codes are one.

use std::collections::BTreeSet;

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::harness::contract::DESCRIPTION;
use crate::harness::{TestApp, on_both_databases};

on_both_databases![
    bodies_are_read_as_described,
    null_is_taken_where_it_is_described,
    examples_of_bodies_are_read,
    the_description_is_served,
];

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

/// Calls `look` with every part of a value and its place.
fn walk(value: &Value, place: &str, look: &mut dyn FnMut(&str, &Value)) {
    look(place, value);
    let parts: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(k, v)| (k.clone(), v)).collect(),
        Value::Array(items) => (items.iter().enumerate())
            .map(|(at, item)| (at.to_string(), item))
            .collect(),
        _ => Vec::new(),
    };
    for (name, part) in parts {
        walk(part, &format!("{place}/{name}"), look);
    }
}

#[test]
fn every_integer_has_a_size() {
    let mut seen = 0;
    walk(&DESCRIPTION, "", &mut |place, schema| {
        let kind = &schema["type"];
        if kind != "integer"
            && !kind
                .as_array()
                .is_some_and(|all| all.contains(&json!("integer")))
        {
            return;
        }
        seen += 1;
        // Without it generators take 32 bits, and ids do not fit.
        let format = schema["format"].as_str();
        assert!(
            matches!(format, Some("int32" | "int64")),
            "{place}: {schema}"
        );
        if place.contains("/parameters/") && schema["maximum"] == json!(i64::MAX) {
            assert_eq!(format, Some("int64"), "{place}");
        }
    });
    assert!(seen > 50, "{seen}");
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

#[test]
fn every_operation_has_its_dearest_request_in_the_benchmarks() {
    let place = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/harness/dearest.py");
    let text = std::fs::read_to_string(place).unwrap();
    let (_, rows) = text.split_once("\n    return {\n").unwrap();
    let named: BTreeSet<&str> = (rows.lines())
        .filter_map(|line| line.strip_prefix("        \"")?.split(['"', ',']).next())
        .collect();
    let lacking: Vec<&str> = operations()
        .map(|operation| operation["operationId"].as_str().unwrap())
        .filter(|id| !named.contains(id))
        .collect();
    assert_eq!(lacking, [""; 0]);
}

fn operations() -> impl Iterator<Item = &'static Value> {
    DESCRIPTION["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
}

#[test]
fn every_operation_says_what_it_does_and_what_comes_back() {
    let verbs = [
        "Ask", "Change", "Choose", "Comment", "Create", "Delete", "End", "Explain", "Export",
        "Follow", "Like", "List", "Log", "Make", "Publish", "Read", "Refresh", "Register", "Send",
        "Unfollow", "Unlike", "Verify", "Write",
    ];
    for operation in operations() {
        let id = operation["operationId"].as_str().unwrap();
        let summary = operation["summary"].as_str().unwrap();
        assert!(
            verbs.contains(&summary.split(' ').next().unwrap()),
            "{summary}"
        );
        assert!(
            !operation["description"].as_str().unwrap().is_empty(),
            "{id}"
        );
        for (status, response) in operation["responses"].as_object().unwrap() {
            let headers = response["headers"].as_object().unwrap();
            assert!(headers.contains_key("X-Request-Id"), "{id} {status}");
            for (name, statuses) in [
                ("WWW-Authenticate", &["401"][..]),
                ("Retry-After", &["429", "503"]),
            ] {
                let is_said = headers.contains_key(name);
                assert!(
                    is_said || !statuses.contains(&status.as_str()),
                    "{id} {status}"
                );
            }
        }
        let has = |name: &str| {
            let mut parameters = operation["parameters"].as_array().into_iter().flatten();
            parameters.any(|parameter| parameter["name"] == name)
        };
        assert!(
            has("If-None-Match") || operation["responses"].get("304").is_none(),
            "{id}"
        );
    }
    let frames = &DESCRIPTION["paths"]["/user/online"]["get"]["x-frames"]["$ref"];
    assert_eq!(frames, "#/components/schemas/LiveFrame");
    let frame = &DESCRIPTION["components"]["schemas"]["LiveFrame"]["oneOf"];
    let kinds: Vec<&Value> = (frame.as_array().unwrap().iter())
        .map(|kind| &kind["properties"]["type"]["enum"][0])
        .collect();
    assert_eq!(kinds, ["snapshot", "change"]);
}

/// A path, what is done there, and the schema and example of its body.
fn bodies() -> Vec<(Method, String, &'static Value, &'static Value)> {
    let mut bodies = Vec::new();
    for (path, item) in DESCRIPTION["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let content = &operation["requestBody"]["content"]["application/json"];
            if let Some(name) = content["schema"]["$ref"].as_str() {
                let name = name.rsplit('/').next().unwrap();
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                let schema = &DESCRIPTION["components"]["schemas"][name];
                bodies.push((
                    method,
                    path.replace("{id}", "1"),
                    schema,
                    &content["example"],
                ));
            }
        }
    }
    bodies
}

/// Null is taken where the description says so, and nowhere else.
async fn null_is_taken_where_it_is_described(app: TestApp) {
    let ann = app.admin("ann").await;
    let mut checked = 0;
    for (method, path, schema, _) in bodies() {
        for (name, field) in schema["properties"].as_object().unwrap() {
            let is_described = field["type"]
                .as_array()
                .is_some_and(|kinds| kinds.contains(&json!("null")))
                || (field["oneOf"].as_array())
                    .is_some_and(|kinds| kinds.contains(&json!({ "type": "null" })));
            // Never a whole body: what is asked for is not to be done.
            let body = json!({ name: null, "surely_not_a_field": 1 });
            let problem = ann.call(method.clone(), &path, body).await;
            let problem = problem.problem("validation_failed");
            let pointer = json!(format!("/{name}"));
            let is_refused = (problem["errors"].as_array().unwrap().iter())
                .any(|error| error["pointer"] == pointer && error["code"] != "field_missing");
            assert_eq!(
                is_described, !is_refused,
                "{method} {path} {name}: {problem}"
            );
            checked += 1;
        }
    }
    assert!(checked > 20);
}

/// Every body has an example, with all that is required, which its route reads.
async fn examples_of_bodies_are_read(app: TestApp) {
    for (number, (method, path, schema, example)) in bodies().into_iter().enumerate() {
        let caller = app.admin(&format!("admin{number}")).await;
        let fields = schema["properties"].as_object().unwrap();
        let given = example.as_object().unwrap();
        assert!(given.keys().all(|name| fields.contains_key(name)), "{path}");
        let required = schema["required"].as_array().into_iter().flatten();
        for name in required {
            assert!(given.contains_key(name.as_str().unwrap()), "{path} {name}");
        }
        let answer = caller.call(method.clone(), &path, example.clone()).await;
        let status = answer.status.as_u16();
        let refused = [400, 415, 422].contains(&status);
        assert!(!refused, "{method} {path}: {}", answer.text());
    }
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
            assert_eq!(schema["additionalProperties"], json!(false), "{name}");
            let mut body = json!({ "surely_not_a_field": 1 });
            for field in schema["properties"].as_object().unwrap().keys() {
                body[field] = json!([]);
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

            let required: BTreeSet<&str> = schema["required"]
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
            let mut missing: BTreeSet<&str> = answer["errors"]
                .as_array()
                .unwrap()
                .iter()
                .map(|fault| fault["pointer"].as_str().unwrap().trim_start_matches('/'))
                .collect();
            // One of four names, of which a schema that generators understand requires none.
            if name == "Login" {
                assert!(missing.remove("account"));
            }
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
