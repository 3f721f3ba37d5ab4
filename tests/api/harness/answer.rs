//! What came back.

use actix_web::HttpResponse;
use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use serde_json::Value;

use super::bytes_of;

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub method: Method,
    pub path: String,
    /// The route's pattern; `None` where no route was found.
    pub pattern: Option<String>,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub async fn read(
        method: Method,
        path: String,
        pattern: Option<String>,
        response: HttpResponse,
    ) -> Self {
        Self {
            method,
            path,
            pattern,
            status: response.status(),
            headers: response.headers().clone(),
            body: bytes_of(response).await,
        }
    }

    /// The body as JSON, after the status was seen to be this.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(
            self.status.as_u16(),
            status,
            "{} {}: {}",
            self.method,
            self.path,
            self.text()
        );
        self.json()
    }

    /// Sees that the answer has this status and no body.
    #[track_caller]
    pub fn expect_empty(&self, status: u16) {
        let (method, path) = (&self.method, &self.path);
        assert_eq!(
            self.status.as_u16(),
            status,
            "{method} {path}: {}",
            self.text()
        );
        assert!(self.body.is_empty());
    }

    /// Sees that the answer is a problem with this code; gives its body.
    #[track_caller]
    pub fn problem(&self, code: &str) -> Value {
        let body = self.json();
        assert_eq!(body["code"], code, "{} {}: {body}", self.method, self.path);
        body
    }

    /// Sees that exactly these fields are refused, with these codes.
    #[track_caller]
    pub fn faults(&self, expected: &[(&str, &str)]) {
        let body = self.problem("validation_failed");
        let mut found: Vec<(String, String)> = body["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| {
                let text = |name: &str| e[name].as_str().unwrap().to_owned();
                (text("pointer"), text("code"))
            })
            .collect();
        found.sort();
        let mut expected: Vec<(String, String)> = expected
            .iter()
            .map(|(pointer, code)| ((*pointer).to_owned(), (*code).to_owned()))
            .collect();
        expected.sort();
        assert_eq!(found, expected, "{} {}", self.method, self.path);
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("not JSON ({e}): {:?}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}
