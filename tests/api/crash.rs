//! A server that is killed in the middle of its work loses nothing that it
//! acknowledged, and leaves nothing by halves.

use std::collections::HashMap;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::harness::process::{Process, inkpot, output};
use crate::harness::{Backend, PASSWORD, SECRET, TestDatabase};

/// How often it is killed, by how many clients it is used, and how many publications
/// are acknowledged before.
const ROUNDS: usize = 3;
const CLIENTS: usize = 4;
const ACKNOWLEDGED: usize = 25;

/// The request of this key, as header and body.
fn publication(token: &str, key: &str) -> (String, String) {
    let headers = format!(
        "Content-Type: application/json\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: {key}\r\n"
    );
    let body = json!({ "title": key, "content": "once", "tags": ["all", key] });
    (headers, body.to_string())
}

fn killed_in_the_middle(backend: Backend) {
    let Some(database) = TestDatabase::create(backend) else {
        return;
    };
    let mut server = Process::on(&database);
    let json = "Content-Type: application/json\r\n";
    let body = json!({ "email": "ann@example.org", "name": "Ann", "password": PASSWORD });
    let (_, answer) = server.call("POST", "/user/reg", json, &body.to_string());
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let token = answer["token"].as_str().unwrap();

    let sent = Mutex::new(Vec::new());
    let acknowledged = Mutex::new(HashMap::new());
    for round in 0..ROUNDS {
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (server, sent, acknowledged) = (&server, &sent, &acknowledged);
                scope.spawn(move || {
                    for n in 0.. {
                        let key = format!("k{round}-{client}-{n}");
                        let (headers, body) = publication(token, &key);
                        sent.lock().unwrap().push(key.clone());
                        match server.call_if_alive("POST", "/post", &headers, &body) {
                            Some((201, answer)) => acknowledged.lock().unwrap().insert(key, answer),
                            Some((status, answer)) => panic!("{status}: {answer}"),
                            None => return,
                        };
                    }
                });
            }
            while acknowledged.lock().unwrap().len() < (round + 1) * ACKNOWLEDGED {
                std::thread::yield_now();
            }
            server.signal("KILL");
        });
        drop(server);
        server = Process::on(&database);
    }

    let (sent, acknowledged) = (
        sent.into_inner().unwrap(),
        acknowledged.into_inner().unwrap(),
    );
    assert!(sent.len() > acknowledged.len() && acknowledged.len() >= ROUNDS * ACKNOWLEDGED);
    let call = |method: &str, path: &str, headers: &str, body: &str| {
        let (status, answer) = server.call(method, path, headers, body);
        assert!(matches!(status, 200 | 201), "{status}: {answer}");
        answer
    };
    for key in &sent {
        // Whatever became of the first request, after this one there is one post.
        let (headers, body) = publication(token, key);
        let answer = call("POST", "/post", &headers, &body);
        if let Some(first) = acknowledged.get(key) {
            assert_eq!(&answer, first);
        }
        let list = call("GET", &format!("/post/?tag={key}"), "", "");
        let list: Value = serde_json::from_str(&list).unwrap();
        assert_eq!(list["pagination"]["count"], 1, "{key}");
        assert_eq!(list["posts"].as_array().unwrap().len(), 1, "{key}");
    }
    for list in ["/post/", "/post/?q=once", "/post/?tag=all"] {
        let list: Value = serde_json::from_str(&call("GET", list, "", "")).unwrap();
        assert_eq!(list["pagination"]["count"], sent.len());
    }
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));

    let checked = output(
        inkpot(database.directory.path())
            .arg("check")
            .env("DATABASE_URL", database.url())
            .env("INKPOT_JWT_SECRET", SECRET),
    );
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success(), "{said}");
    assert_eq!(said, "the counts, the tags and the search are right\n");
}

#[test]
fn killed_in_the_middle_on_sqlite() {
    killed_in_the_middle(Backend::Sqlite);
}

#[test]
fn killed_in_the_middle_on_mysql() {
    killed_in_the_middle(Backend::Mysql);
}
