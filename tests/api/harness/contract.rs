//! Every answer of every test against `openapi.yaml`'s content: the status is one
//! that the operation lists, the body fits the schema, the code is one that the
//! status can mean.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use actix_web::http::Method;
use inkpot::http::endpoint::canonical;
use inkpot::page::routes::PATHS;
use jsonschema::Validator;
use serde_json::{Value, json};

use super::Answer;

/// The description as JSON.
pub static DESCRIPTION: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&inkpot::openapi::render("").unwrap().json).unwrap());

static VALIDATORS: LazyLock<Mutex<HashMap<String, Validator>>> = LazyLock::new(Mutex::default);

/// Sees that `answer` is one that the description allows.
#[track_caller]
pub fn check(answer: &Answer) {
    let context = format!("{} {} {}", answer.method, answer.path, answer.status);
    assert!(
        !answer.header("x-request-id").is_empty(),
        "{context}: no request id"
    );
    assert_eq!(
        answer.header("x-content-type-options"),
        "nosniff",
        "{context}"
    );
    if is_document(answer) {
        return;
    }
    let is_error = answer.status.is_client_error() || answer.status.is_server_error();
    if is_error {
        check_problem(answer, &context);
    }
    let Some(operation) = operation(answer) else {
        assert!(
            is_error || answer.method == Method::OPTIONS,
            "{context}: a success that the description does not have"
        );
        return;
    };
    let status = answer.status.as_str();
    let described = &operation["responses"][status];
    assert!(
        !described.is_null(),
        "{context}: not described: {}",
        answer.text()
    );
    if is_error {
        let code = answer.json()["code"].clone();
        let codes = described["x-codes"].as_array().unwrap();
        assert!(
            codes.contains(&code),
            "{context}: {code} is not among {codes:?}"
        );
    }
    for name in described["headers"].as_object().into_iter().flatten() {
        // Links are left out where they would be too long; the tests of lists see to them.
        let is_optional = name.0 == "Link";
        assert!(
            is_optional || !answer.header(name.0).is_empty(),
            "{context}: no {}",
            name.0
        );
    }
    let Some(bodies) = described["content"].as_object() else {
        assert!(
            answer.body.is_empty(),
            "{context}: a body that is not described"
        );
        return;
    };
    let media_type = answer.header("content-type");
    let body = bodies
        .get(media_type)
        .unwrap_or_else(|| panic!("{context}: {media_type} is not described"));
    let is_plain = answer.header("content-encoding").is_empty();
    if media_type.contains("json") && is_plain && answer.method != Method::HEAD {
        fits(&body["schema"], &answer.json(), &context);
    }
}

/// Whether it is a document of the page or what documents load, which are no part of the API; sees
/// that a document does nothing that it need not.
#[track_caller]
fn is_document(answer: &Answer) -> bool {
    let media_type = answer.header("content-type");
    if media_type.starts_with("text/html") {
        let policy = answer.header("content-security-policy");
        let context = format!("{} {}", answer.method, answer.path);
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{context}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{context}");
        assert!(!policy.contains("unsafe"), "{context}");
        assert!(!answer.header("content-language").is_empty(), "{context}");
        return true;
    }
    let is_of_page = |pattern: &str| PATHS.contains(&canonical(pattern));
    let is_read = answer.status.is_success() || [301, 302, 304].contains(&answer.status.as_u16());
    is_read && answer.pattern.as_deref().is_some_and(is_of_page)
}

/// Sees that a body which was taken is one that the description allows.
#[track_caller]
pub fn check_request(answer: &Answer, body: &Value) {
    let operation = operation(answer).expect("described");
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    fits(
        schema,
        body,
        &format!("body of {} {}", answer.method, answer.path),
    );
}

#[track_caller]
fn check_problem(answer: &Answer, context: &str) {
    assert_eq!(
        answer.header("content-type"),
        "application/problem+json",
        "{context}"
    );
    let body = answer.json();
    fits(
        &json!({ "$ref": "#/components/schemas/Problem" }),
        &body,
        context,
    );
    assert_eq!(body["status"], answer.status.as_u16(), "{context}");
    assert_eq!(
        body["request_id"],
        answer.header("x-request-id"),
        "{context}"
    );
    match answer.status.as_u16() {
        401 => assert!(
            answer
                .header("www-authenticate")
                .starts_with("Bearer realm=\"inkpot\"")
        ),
        405 => assert!(answer.header("allow").ends_with("OPTIONS"), "{context}"),
        429 | 503 => assert!(
            answer.header("retry-after").parse::<u32>().is_ok(),
            "{context}"
        ),
        _ => {}
    }
}

/// The operation that an answer came from; HEAD is described as GET.
fn operation(answer: &Answer) -> Option<&'static Value> {
    let pattern = answer.pattern.as_deref()?.trim_end_matches('/');
    let method = match answer.method {
        Method::GET | Method::HEAD => "get",
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => return None,
    };
    let operation = &DESCRIPTION["paths"][pattern][method];
    (!operation.is_null()).then_some(operation)
}

#[track_caller]
fn fits(schema: &Value, value: &Value, context: &str) {
    let mut validators = VALIDATORS
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let validator = validators.entry(schema.to_string()).or_insert_with(|| {
        let mut whole = schema.clone();
        whole["components"] = DESCRIPTION["components"].clone();
        jsonschema::options()
            .should_validate_formats(true)
            .build(&whole)
            .unwrap()
    });
    let faults: Vec<String> = validator
        .iter_errors(value)
        .map(|e| format!("{e} at {}", e.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{context}: {faults:?} in {value}");
}
