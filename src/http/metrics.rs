//! What is measured of requests: how long each took, by method, route and status, and how
//! many are under way. Names and labels are those of OpenTelemetry.
//!
//! A request costs a look into a table that is never changed and four atomic additions.

use std::collections::HashMap;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use actix_web::http::Method;

use crate::core::metrics::{Families, Histogram};

/// Methods that are told apart; any other is [`OTHER`].
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// What OpenTelemetry calls a method that is not told.
const OTHER: &str = "_OTHER";
/// What has no route: nothing is served there, or it was refused before.
const NO_ROUTE: &str = "-";
/// Statuses that are told apart, in rising order. There is an answer for each of them.
const STATUSES: [&str; 30] = [
    "101", "200", "201", "202", "204", "206", "301", "302", "303", "304", "307", "308", "400",
    "401", "403", "404", "405", "406", "408", "409", "412", "413", "414", "415", "422", "429",
    "431", "499", "500", "503",
];
/// Any other status.
const OTHER_STATUS: &str = "other";

/// By status; made as they come.
type Statuses = [OnceLock<Box<Histogram>>; STATUSES.len() + 1];

/// The metrics of all requests of a process.
pub struct RequestMetrics {
    /// The place of each route; the last is of those without.
    routes: HashMap<&'static str, usize>,
    names: Vec<&'static str>,
    /// By route and method.
    cells: Vec<OnceLock<Box<Statuses>>>,
    active: AtomicI64,
}

impl RequestMetrics {
    /// For these routes, as the route table has them.
    pub fn new(paths: impl IntoIterator<Item = &'static str>) -> Self {
        let mut names: Vec<&'static str> = paths.into_iter().collect();
        names.push(NO_ROUTE);
        let routes = (names.iter().enumerate())
            .map(|(place, name)| (*name, place))
            .collect();
        let cells = names.len() * (METHODS.len() + 1);
        Self {
            routes,
            names,
            cells: (0..cells).map(|_| OnceLock::new()).collect(),
            active: AtomicI64::new(0),
        }
    }

    /// A request has begun.
    pub fn begun(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
    }

    /// It is not under way any more.
    pub fn ended(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }

    /// A request was answered, or its client went.
    pub fn answered(&self, method: &Method, route: &str, status: u16, took: Duration) {
        let place = (self.routes.get(route).copied()).unwrap_or(self.names.len() - 1);
        let cell = place * (METHODS.len() + 1) + method_index(method);
        let Some(cell) = self.cells.get(cell) else {
            return;
        };
        let statuses = cell.get_or_init(|| Box::new(std::array::from_fn(|_| OnceLock::new())));
        if let Some(histogram) = statuses.get(status_index(status)) {
            histogram.get_or_init(Box::default).observe(took);
        }
    }

    /// Tells of requests.
    pub fn describe(&self, families: &mut Families<'_>) -> fmt::Result {
        families.gauge(
            "http_server_active_requests",
            "Requests under way.",
            f64::from(i32::try_from(self.active.load(Ordering::Relaxed)).unwrap_or(i32::MAX)),
        )?;
        let all = self.cells.iter().enumerate().flat_map(|(cell, statuses)| {
            let (place, method) = (cell / (METHODS.len() + 1), cell % (METHODS.len() + 1));
            let route = self.names.get(place).copied().unwrap_or(NO_ROUTE);
            let method = METHODS.get(method).copied().unwrap_or(OTHER);
            let statuses = statuses.get().into_iter().flat_map(|all| all.iter());
            statuses.enumerate().filter_map(move |(n, histogram)| {
                let status = STATUSES.get(n).copied().unwrap_or(OTHER_STATUS);
                let labels = [
                    ("http_request_method", method),
                    ("http_route", route),
                    ("http_response_status_code", status),
                ];
                Some((labels, histogram.get()?))
            })
        });
        families.histograms(
            "http_server_request_duration_seconds",
            "How long requests took until their answer was there; 499 is a client that went.",
            all,
        )
    }
}

fn method_index(method: &Method) -> usize {
    let name = method.as_str();
    (METHODS.iter().position(|one| *one == name)).unwrap_or(METHODS.len())
}

fn status_index(status: u16) -> usize {
    let digits = [status / 100, status / 10 % 10, status % 10]
        .map(|digit| b'0' + u8::try_from(digit % 10).unwrap_or_default());
    (STATUSES.binary_search_by(|one| one.as_bytes().cmp(&digits[..]))).unwrap_or(STATUSES.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::metrics::Metrics;
    use crate::error::TABLE;

    #[test]
    fn every_status_of_a_refusal_is_told_apart() {
        assert!(STATUSES.is_sorted());
        for row in TABLE {
            if let Some(status) = row.status {
                let told = STATUSES.get(status_index(status));
                assert_eq!(told, Some(&status.to_string().as_str()), "{}", row.name);
            }
        }
    }

    #[test]
    fn what_is_not_in_the_tables_is_told_together() {
        let requests = std::sync::Arc::new(RequestMetrics::new(["/post", "/post/{id}"]));
        let breaks = Method::from_bytes(b"BREW").unwrap();
        for (method, route, status) in [
            (Method::GET, "/post/{id}", 200),
            (Method::GET, "/post/{id}", 200),
            (Method::GET, "/secret/of/somebody", 404),
            (breaks, "/post", 418),
        ] {
            requests.begun();
            requests.answered(&method, route, status, Duration::from_millis(3));
        }
        requests.ended();
        let mut metrics = Metrics::default();
        metrics.register(move |families| requests.describe(families));
        let text = metrics.encode().unwrap();
        let counts: Vec<&str> = (text.lines())
            .filter(|line| line.starts_with("http_server_request_duration_seconds_count"))
            .collect();
        let expected = [
            ("_OTHER", "/post", "other", 1),
            ("GET", "/post/{id}", "200", 2),
            ("GET", "-", "404", 1),
        ]
        .map(|(method, route, status, count)| {
            format!(
                "http_server_request_duration_seconds_count{{http_request_method=\"{method}\",\
                 http_route=\"{route}\",http_response_status_code=\"{status}\"}} {count}"
            )
        });
        assert_eq!(counts, expected);
        assert!(
            text.contains("\nhttp_server_active_requests 3.0\n"),
            "{text}"
        );
    }
}
