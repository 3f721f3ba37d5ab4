//! Who is online, by the list and by the live stream of one process.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::serving::Serving;
use crate::harness::socket::{PATIENCE, Rude, Socket, bearer};
use crate::harness::{Backend, Client, TestApp, TestDatabase};

/// A service at a port.
pub async fn serving(flags: &[&str]) -> Serving {
    let database = TestDatabase::create(Backend::Sqlite).unwrap();
    let flags = [&["--workers", "1"], flags].concat();
    Serving::start(TestApp::start(database, &flags).await)
}

/// The stream of somebody who calls.
pub async fn open(serving: &Serving, client: &Client<'_>) -> Socket {
    Socket::open(&serving.address, Serving::token(client)).await
}

#[actix_web::test]
async fn a_stream_begins_with_who_is_there_and_tells_who_comes_and_goes() {
    let serving = serving(&[]).await;
    let (ann, ben) = (serving.app.user("ann").await, serving.app.user("ben").await);
    let mut anns = open(&serving, &ann).await;
    anns.until_online(&[ann.user_id]).await;
    let bens = open(&serving, &ben).await;
    assert!(bens.view.keys().eq(&[ann.user_id, ben.user_id]));
    assert_eq!(bens.view[&ann.user_id], anns.view[&ann.user_id]);
    assert!(!bens.is_partial);
    anns.until_online(&[ann.user_id, ben.user_id]).await;
    assert_eq!(anns.view[&ben.user_id].0, "ben");
    bens.close().await;
    anns.until_online(&[ann.user_id]).await;
    // What it says is no harm.
    anns.say("hello").await;
    let bens = open(&serving, &ben).await;
    anns.until_online(&[ann.user_id, ben.user_id]).await;
    // A connection that breaks is a tab that is closed.
    drop(bens);
    anns.until_online(&[ann.user_id]).await;
}

#[actix_web::test]
async fn two_tabs_are_one_user_until_the_last_is_closed() {
    let serving = serving(&[]).await;
    let (ann, ben) = (serving.app.user("ann").await, serving.app.user("ben").await);
    let mut anns = open(&serving, &ann).await;
    let first = open(&serving, &ben).await;
    anns.until_online(&[ann.user_id, ben.user_id]).await;
    let since = anns.view[&ben.user_id].1.clone();
    serving.app.clock.advance(chrono::Duration::minutes(1));
    let second = open(&serving, &ben).await;
    assert_eq!(second.view[&ben.user_id].1, since, "not since the second");
    first.close().await;
    // Nothing was told of all that: the next change is of a third user.
    let cid = serving.app.user("cid").await;
    let _cids = open(&serving, &cid).await;
    let change = anns.next().await.unwrap();
    assert_eq!(change["online"][0]["user_id"], cid.user_id);
    assert_eq!(
        (&change["offline"], &change["total"]),
        (&json!([]), &json!(3))
    );
    second.close().await;
    anns.until_online(&[ann.user_id, cid.user_id]).await;
}

#[actix_web::test]
async fn the_list_says_the_same_the_newest_first() {
    let serving = serving(&[]).await;
    let (ann, ben) = (serving.app.user("ann").await, serving.app.user("ben").await);
    let list = async || ann.get("/user/online").await.expect(200);
    assert_eq!(list().await, json!({ "online": [], "total": 0 }));
    let anns = open(&serving, &ann).await;
    serving.app.clock.advance(chrono::Duration::seconds(1));
    let bens = open(&serving, &ben).await;
    let listed = list().await;
    assert_eq!(listed["total"], 2);
    let user = |client: &Client<'_>, name: &str| {
        let since = &bens.view[&client.user_id].1;
        json!({ "user_id": client.user_id, "name": name, "since": since })
    };
    assert_eq!(
        listed["online"],
        json!([user(&ben, "ben"), user(&ann, "ann")])
    );
    let answer = ann.get("/user/online").await;
    assert_eq!(answer.header("cache-control"), "no-store");
    anns.close().await;
    let listed = list().await;
    assert_eq!(listed["online"], json!([user(&ben, "ben")]));
}

#[actix_web::test]
async fn a_new_name_is_told() {
    let serving = serving(&[]).await;
    let (ann, ben) = (serving.app.user("ann").await, serving.app.user("ben").await);
    let mut anns = open(&serving, &ann).await;
    let _bens = open(&serving, &ben).await;
    anns.until_online(&[ann.user_id, ben.user_id]).await;
    let name = "Ben \"Löwe\" <b> \u{1f981}";
    ben.patch("/user/me", json!({ "name": name }))
        .await
        .expect(200);
    anns.until("told the new name", |socket| {
        socket.view[&ben.user_id].0 == name
    })
    .await;
    let listed = ann.get("/user/online").await.expect(200);
    let names: Vec<&Value> = [0, 1]
        .iter()
        .map(|n| &listed["online"][n]["name"])
        .collect();
    assert!(names.contains(&&json!(name)), "{listed}");
}

#[actix_web::test]
async fn a_token_may_be_in_a_header_or_among_the_subprotocols() {
    let serving = serving(&[]).await;
    let ann = serving.app.user("ann").await;
    let token = Serving::token(&ann);
    let by = async |headers: &[(&'static str, String)]| {
        let mut socket = Socket::with(&serving.address, headers).await.unwrap();
        socket.until_online(&[ann.user_id]).await;
        socket.protocol.take()
    };
    let protocols = |text: String| ("Sec-WebSocket-Protocol", text);
    let offered = protocols(format!("inkpot.v1, bearer.{token}"));
    let spoken = Some("inkpot.v1".to_owned());
    assert_eq!(by(&[bearer(token)]).await, None);
    assert_eq!(by(&[("JWT", token.to_owned())]).await, None);
    assert_eq!(by(std::slice::from_ref(&offered)).await, spoken);
    assert_eq!(by(&[offered.clone(), bearer(token)]).await, spoken);
    let plain = protocols("inkpot.v1".to_owned());
    assert_eq!(by(&[plain, bearer(token)]).await, spoken);

    let other = serving.app.login("ann").await["token"].clone();
    let other = format!("Bearer {}", other.as_str().unwrap());
    for (headers, status, code) in [
        (&[][..], 401, "token_missing"),
        (&[("Authorization", "Bearer x.y.z")], 401, "invalid_token"),
        (
            &[("Sec-WebSocket-Protocol", "other, bearer.x.y.z")],
            401,
            "invalid_token",
        ),
        (
            &[("Sec-WebSocket-Protocol", "inkpot.v1")],
            401,
            "token_missing",
        ),
        (
            &[
                ("Authorization", other.as_str()),
                ("Sec-WebSocket-Protocol", offered.1.as_str()),
            ],
            400,
            "token_conflict",
        ),
    ] {
        let (got, name, head) = Rude::refused(&serving.address, "GET", headers).await;
        assert_eq!((got, name.as_str()), (status, code), "{head}");
        assert_eq!(
            head.contains("www-authenticate: bearer"),
            status == 401,
            "{head}"
        );
    }
    assert_eq!(serving.app.state.presence.sockets(), 0, "nobody was let in");
}

#[actix_web::test]
async fn pages_of_this_server_and_of_listed_origins_are_let_in() {
    let listed = "https://blog.example.org";
    let serving = serving(&["--cors-origins", listed]).await;
    let ann = serving.app.user("ann").await;
    let own = format!("http://{}", serving.address);
    for origin in [listed, own.as_str()] {
        let headers = [bearer(Serving::token(&ann)), ("Origin", origin.to_owned())];
        let mut socket = Socket::with(&serving.address, &headers).await.unwrap();
        socket.until_online(&[ann.user_id]).await;
    }
    let value = bearer(Serving::token(&ann)).1;
    for origin in [
        "https://evil.example",
        "null",
        "https://blog.example.org.evil.example",
    ] {
        let headers = [("Authorization", value.as_str()), ("Origin", origin)];
        let (status, code, _) = Rude::refused(&serving.address, "GET", &headers).await;
        assert_eq!((status, code.as_str()), (403, "origin_refused"), "{origin}");
    }
}

#[actix_web::test]
async fn only_a_get_with_a_whole_handshake_opens_a_stream() {
    let serving = serving(&[]).await;
    let ann = serving.app.user("ann").await;
    let token = bearer(Serving::token(&ann)).1;
    let refused = async |method: &str, extra: (&str, &str)| {
        let headers = [("Authorization", token.as_str()), extra];
        Rude::refused(&serving.address, method, &headers).await
    };
    let (status, code, head) = refused("POST", ("Content-Length", "0")).await;
    assert_eq!((status, code.as_str()), (405, "method_not_allowed"));
    assert!(head.contains("allow: get, head, options"), "{head}");
    let (status, ..) = refused("HEAD", ("X", "y")).await;
    assert_eq!(status, 400);
    for upgrade in ["websocket", "WebSocket"] {
        let answer = serving
            .app
            .send(
                ann.request(actix_web::http::Method::GET, "/user/online")
                    .insert_header(("Upgrade", upgrade)),
            )
            .await;
        answer.problem("malformed_request");
    }
    // Without the upgrade it is the list.
    let head = ann.request(actix_web::http::Method::HEAD, "/user/online");
    assert_eq!(serving.app.send(head).await.status, 200);
    let options = ann.request(actix_web::http::Method::OPTIONS, "/user/online");
    assert_eq!(
        serving.app.send(options).await.header("allow"),
        "GET, HEAD, OPTIONS"
    );
    serving
        .app
        .anonymous()
        .get("/user/online")
        .await
        .problem("token_missing");
    assert_eq!(serving.app.state.presence.sockets(), 0);
}

/// What comes, until it has `last` or ends.
async fn raw(address: &str, sent: &str, last: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&got).contains(last) {
            if stream.read_buf(&mut got).await.unwrap() == 0 {
                break;
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("what is awaited");
    String::from_utf8_lossy(&got).into_owned()
}

#[actix_web::test]
async fn an_upgrade_may_follow_other_requests_but_not_of_the_older_protocol() {
    let serving = serving(&[]).await;
    let ann = serving.app.user("ann").await;
    let upgrade = |version: &str| {
        format!(
            "GET /user/online HTTP/{version}\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Authorization: Bearer {}\r\n\r\n",
            Serving::token(&ann)
        )
    };
    let other = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    let sent = format!("{other}{other}{}", upgrade("1.1"));
    let got = raw(&serving.address, &sent, "snapshot").await;
    assert_eq!(got.matches("HTTP/1.1 200 OK").count(), 2, "{got}");
    assert_eq!(got.matches("HTTP/1.1 101 ").count(), 1, "{got}");
    assert!(got.contains("snapshot"), "{got}");
    let got = raw(&serving.address, &upgrade("1.0"), "malformed_request").await;
    assert!(
        got.contains(" 400 ") && got.contains("malformed_request"),
        "{got}"
    );
}

#[actix_web::test]
async fn the_eleventh_socket_of_a_user_is_refused() {
    let serving = serving(&[]).await;
    let (ann, ben) = (serving.app.user("ann").await, serving.app.user("ben").await);
    let mut all = Vec::new();
    for _ in 0..10 {
        all.push(open(&serving, &ann).await);
    }
    let token = bearer(Serving::token(&ann)).1;
    let refused = Rude::refused(&serving.address, "GET", &[("Authorization", &token)]).await;
    assert_eq!((refused.0, refused.1.as_str()), (429, "too_many_sockets"));
    let mut bens = open(&serving, &ben).await;
    bens.until_online(&[ann.user_id, ben.user_id]).await;
    // A place is free when the server has closed.
    all.pop().unwrap().close().await;
    all.push(open(&serving, &ann).await);
    assert_eq!(serving.app.state.presence.sockets(), 11);
}

#[actix_web::test]
async fn the_directory_says_who_of_everybody_is_there_and_since_when() {
    let serving = serving(&[]).await;
    let (ann, ben) = (serving.app.user("ann").await, serving.app.user("ben").await);
    let online = async |path: &str| -> Vec<(Value, Value)> {
        let page = ann.get(path).await.expect(200);
        let users = page["users"].as_array().unwrap().iter();
        users
            .map(|user| (user["online"].clone(), user["since"].clone()))
            .collect()
    };
    let away = (json!(false), json!(null));
    assert_eq!(
        online("/user/directory").await,
        [away.clone(), away.clone()]
    );
    let mut anns = open(&serving, &ann).await;
    anns.until_online(&[ann.user_id]).await;
    serving.app.clock.advance(chrono::Duration::minutes(1));
    let bens = open(&serving, &ben).await;
    anns.until_online(&[ann.user_id, ben.user_id]).await;
    let here = |id: i64| (json!(true), json!(anns.view[&id].1));
    let both = [here(ben.user_id), here(ann.user_id)];
    assert_ne!(both[0].1, both[1].1);
    assert_eq!(online("/user/directory").await, both);
    assert_eq!(online("/user/directory?before=&size=1").await, both[..1]);
    assert_eq!(online("/user/directory?q=an").await, both[1..]);
    bens.close().await;
    anns.until_online(&[ann.user_id]).await;
    assert_eq!(online("/user/directory?q=ben").await, [away]);
}
