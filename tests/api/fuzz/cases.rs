//! What an attacker sends: requests of the description's routes, sound, half sound and
//! not at all.

use std::sync::LazyLock;

use serde_json::Value;

use super::wire::{End, Patience, exchange, parse, shown};
use super::{bodies, frames, heads, values};
use crate::harness::contract::DESCRIPTION;
use crate::model::random::Random;

/// Whose tokens an attacker has.
pub struct Caller {
    pub user_id: i64,
    pub token: String,
    pub refresh: String,
}

/// A route with what its requests hold.
struct Route {
    method: String,
    path: String,
    /// Names and examples of parameters in the query.
    query: Vec<(String, String)>,
    body: Option<Value>,
}

static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    let paths = DESCRIPTION["paths"].as_object().unwrap();
    let mut routes = Vec::new();
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().unwrap() {
            let parameters = operation["parameters"].as_array();
            let query = parameters.into_iter().flatten();
            let query = query.filter(|parameter| parameter["in"] == "query");
            let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
            routes.push(Route {
                method: method.to_uppercase(),
                path: path.clone(),
                query: query
                    .map(|parameter| (text(&parameter["name"]), text(&parameter["example"])))
                    .collect(),
                body: operation
                    .pointer("/requestBody/content/application~1json/example")
                    .cloned(),
            });
        }
    }
    assert!(routes.len() > 30, "{} routes", routes.len());
    routes
});

/// Somebody who attacks with accounts of their own.
pub struct Attacker<'a> {
    address: &'a str,
    caller: Caller,
    chance: Random,
    /// Whether there is time to wait for the ends of connections.
    is_patient: bool,
}

/// A request: its head without the last line, and its body.
struct Made {
    head: String,
    body: Vec<u8>,
    /// Whether it is sound HTTP, so that it has an answer.
    is_sound: bool,
}

impl<'a> Attacker<'a> {
    pub fn new(address: &'a str, caller: Caller, chance: Random, is_patient: bool) -> Self {
        Self {
            address,
            caller,
            chance,
            is_patient,
        }
    }

    /// Attacks once, and judges what comes back.
    pub fn attack(&mut self) {
        match self.chance.below(20) {
            0 => {
                let bytes = heads::garbage(&mut self.chance);
                self.send(&bytes, false);
            }
            1 | 2 => {
                let is_patient = self.is_patient && self.chance.percent(1);
                let token = self.caller.token.clone();
                frames::attack(self.address, &token, &mut self.chance, is_patient);
            }
            3..=5 => {
                let made = self.request();
                let head = heads::broken(&mut self.chance, &format!("{}\r\n", made.head));
                self.send(&[head, made.body].concat(), false);
            }
            6 | 7 => {
                // Several in one go; what is behind a sound one is read as another.
                let mut all = Vec::new();
                let mut is_sound = true;
                for _ in 0..2 + self.chance.below(4) {
                    let made = self.request();
                    // By which the HTTP layer frames the answers before it (docs/security.md).
                    let words = ["HEAD ", "CONNECT ", "Upgrade: websocket"];
                    if words.iter().any(|word| made.head.contains(word)) {
                        continue;
                    }
                    // Behind the last one there may be nothing.
                    is_sound &= made.is_sound && !made.head.contains("close");
                    all.extend_from_slice(made.head.as_bytes());
                    all.extend_from_slice(b"\r\n");
                    all.extend_from_slice(&made.body);
                }
                self.send(&all, is_sound && !all.is_empty());
            }
            _ => {
                let made = self.request();
                let bytes = [made.head.as_bytes(), b"\r\n", &made.body].concat();
                self.send(&bytes, made.is_sound);
            }
        }
    }

    /// A request of some route, broken in some of its parts.
    fn request(&mut self) -> Made {
        let route = self.chance.pick(&ROUTES);
        let method = match self.chance.below(20) {
            0 => *self
                .chance
                .pick(&["HEAD", "OPTIONS", "TRACE", "BREW", "get", "DELETE", "PUT"]),
            _ => &route.method,
        };
        let target = self.target(route);
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: x\r\n");
        let is_authorized = self.chance.percent(70);
        if is_authorized {
            let token = match self.chance.below(4) {
                0 => values::token(&mut self.chance, &self.caller),
                _ => self.caller.token.clone(),
            };
            head.extend(["Authorization: Bearer ", &token, "\r\n"]);
        }
        for _ in 0..self.chance.below(4) {
            let (name, value) = values::header(&mut self.chance, &self.caller);
            head.extend([name, ": ", &value, "\r\n"]);
        }
        let mut is_sound = !head.contains("Expect: ") && head.len() < 60_000;
        let mut body = Vec::new();
        if let Some(example) = &route.body {
            head.push_str("Content-Type: application/json\r\n");
            let bytes = bodies::json(&mut self.chance, example);
            let is_misframed = self.chance.percent(12);
            let (lines, framed) = if is_misframed {
                bodies::misframed(&mut self.chance, &bytes)
            } else {
                bodies::framed(&mut self.chance, &bytes)
            };
            is_sound &= !is_misframed;
            head.push_str(&lines);
            body = framed;
        }
        if self.chance.percent(60) {
            head.push_str("Connection: close\r\n");
        }
        Made {
            head,
            body,
            is_sound,
        }
    }

    fn target(&mut self, route: &Route) -> String {
        let mut target = String::new();
        for part in route.path.split('/').skip(1) {
            let own = self.caller.user_id.to_string();
            let part = match part {
                "{id}" if self.chance.percent(60) => own,
                "{code}" if self.chance.percent(60) => "not_found".to_owned(),
                "{id}" | "{code}" => {
                    let text = values::text(&mut self.chance);
                    values::encoded(&mut self.chance, &text)
                }
                part => part.to_owned(),
            };
            target.push('/');
            target.push_str(&part);
        }
        if self.chance.percent(30) {
            target.push('/');
        }
        let mut separator = "?";
        for (name, example) in &route.query {
            if self.chance.percent(60) {
                continue;
            }
            let value = match self.chance.below(3) {
                0 => example.clone(),
                _ => values::text(&mut self.chance),
            };
            let value = values::encoded(&mut self.chance, &value);
            target.extend([separator, name, "=", &value]);
            separator = "&";
        }
        // What is longer is a case of its own.
        let mut end = target.len().min(40_000);
        while !target.is_char_boundary(end) {
            end -= 1;
        }
        target.truncate(end);
        target
    }

    /// Sends bytes, in pieces now and then, and judges what comes back.
    fn send(&mut self, bytes: &[u8], is_sound: bool) {
        let mut cuts: Vec<usize> = Vec::new();
        if self.chance.percent(20) && !bytes.is_empty() {
            cuts.extend((0..self.chance.below(5)).map(|_| self.chance.below(bytes.len())));
            cuts.sort_unstable();
        }
        let is_half_closed = self.chance.percent(5);
        let patience = if is_sound && !is_half_closed {
            Patience::Answered
        } else if self.is_patient && self.chance.below(400) == 0 {
            Patience::ToTheEnd
        } else {
            Patience::Moment
        };
        let judged = std::panic::catch_unwind(|| {
            let (received, end) = exchange(self.address, bytes, &cuts, is_half_closed, patience);
            let (answers, rest) = parse(&received);
            answers.iter().for_each(super::wire::Answer::check);
            let is_upgraded = answers.last().is_some_and(|last| last.status == 101);
            // What is sent behind a last request may have the system cut its answer.
            let may_be_cut = end == End::Closed && patience != Patience::Answered;
            let is_whole = rest.is_empty() || is_upgraded || may_be_cut;
            assert!(is_whole, "{end:?}: {}", shown(rest));
            if patience == Patience::Answered {
                assert!(!answers.is_empty(), "{end:?} without an answer");
            }
        });
        assert!(judged.is_ok(), "that was the answer to {}", shown(bytes));
    }
}
