//! Clients that break the rules, do not read or are gone without a word: each ends,
//! and nobody else notices.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use inkpot::presence::hub::Joining;
use inkpot::presence::keep_alive::Timeouts;

use crate::harness::process::{Process, inkpot};
use crate::harness::serving::Serving;
use crate::harness::socket::{Rude, Socket};
use crate::presence::{open, serving};
use crate::process::register;

/// First bytes of whole frames.
const TEXT: u8 = 0x81;
const PING: u8 = 0x89;

#[actix_web::test]
async fn whatever_bytes_come_the_socket_ends_fittingly_and_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::start(&mut inkpot(dir.path()));
    let (ann, ben) = (register(&server, "ann"), register(&server, "ben"));
    let mut anns = Socket::open(&server.address, &ann).await;
    let huge = [&[TEXT, 0xff][..], &u64::MAX.to_be_bytes(), &[0; 4]].concat();
    let long = [&[TEXT, 0xfe][..], &5000_u16.to_be_bytes(), &[0; 5004]].concat();
    // The head alone: what it announces never comes, or comes for ever.
    let endless_head = [&[TEXT, 0xff][..], &(1_u64 << 62).to_be_bytes()].concat();
    let long_head = [&[TEXT, 0xfe][..], &4097_u16.to_be_bytes()].concat();
    for (what, bytes, code) in [
        ("the head of an endless frame", endless_head, Some(1009)),
        ("the head of a long frame", long_head, Some(1009)),
        ("a huge frame", huge, Some(1009)),
        ("a long frame", long, Some(1009)),
        ("no UTF-8", Rude::frame(TEXT, b"\xff\xfe"), Some(1007)),
        ("not masked", vec![TEXT, 1, b'x'], Some(1002)),
        ("an unknown opcode", Rude::frame(0x83, b"x"), Some(1002)),
        (
            "a continuation of nothing",
            Rude::frame(0x80, b"x"),
            Some(1002),
        ),
        ("a fragmented ping", Rude::frame(0x09, b"x"), Some(1002)),
        (
            "a text within a text",
            [Rude::frame(0x01, b"a"), Rude::frame(0x81, b"b")].concat(),
            Some(1002),
        ),
        (
            "no WebSocket at all",
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            Some(1002),
        ),
        (
            "a close",
            Rude::frame(0x88, &1000_u16.to_be_bytes()),
            Some(1000),
        ),
        ("an empty close", Rude::frame(0x88, b""), Some(1000)),
    ] {
        let mut rude = Rude::open(&server.address, &ben).await;
        anns.until_online(&[1, 2]).await;
        rude.write(&bytes).await;
        assert_eq!(rude.close_code().await, code, "{what}");
        anns.until_online(&[1]).await;
    }
    let mut endless = Rude::open(&server.address, &ben).await;
    anns.until_online(&[1, 2]).await;
    // Many pings are no more than noise; a message without an end is kept by nobody.
    endless.write(&Rude::frame(0x01, b"a")).await;
    for _ in 0..2000 {
        endless.write(&Rude::frame(0x00, &[b'b'; 100])).await;
        endless.write(&Rude::frame(PING, b"p")).await;
    }
    assert_eq!(endless.close_code().await, Some(1009));
    anns.until_online(&[1]).await;
    anns.close().await;
    server.signal("TERM");
    let (status, log) = server.wait();
    assert_eq!(status, Some(0));
    for level in ["ERROR", "WARN", "panic"] {
        assert!(!log.contains(level), "{log}");
    }
}

/// More sockets than threads, each sending without a pause what is no fault by itself.
#[actix_web::test]
async fn who_sends_without_a_pause_is_closed_and_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::start(inkpot(dir.path()).env("INKPOT_WORKERS", "1"));
    let (ann, ben) = (register(&server, "ann"), register(&server, "ben"));
    let mut anns = Socket::open(&server.address, &ann).await;
    let mut floods = Vec::new();
    for frame in [
        Rude::frame(TEXT, b"x"),
        Rude::frame(0x8a, b""),
        Rude::frame(PING, b""),
    ] {
        let mut rude = Rude::open(&server.address, &ben).await;
        floods.push(actix_web::rt::spawn(async move {
            let many = frame.repeat(10_000);
            // Until the server has closed, whatever it says.
            while rude.try_write(&many).await {}
        }));
    }
    anns.until_online(&[1, 2]).await;
    assert_eq!(server.call("GET", "/livez", "", "").0, 200);
    anns.until_online(&[1]).await;
    for flood in floods {
        flood.await.unwrap();
    }
    let mut rude = Rude::open(&server.address, &ben).await;
    rude.write(&Rude::frame(TEXT, b"x").repeat(300)).await;
    assert_eq!(rude.close_code().await, Some(1008));
    anns.close().await;
}

#[actix_web::test]
async fn who_answers_no_ping_is_gone() {
    let serving = serving(&[]).await;
    let (ann, ben) = (serving.app.user("ann").await, serving.app.user("ben").await);
    serving.app.state.presence.set_timeouts(Timeouts {
        ping: Duration::from_millis(100),
        silence: Duration::from_secs(2),
        send: Duration::from_secs(20),
    });
    let mut anns = open(&serving, &ann).await;
    let mut silent = Rude::open(&serving.address, Serving::token(&ben)).await;
    let watching = async {
        anns.until_online(&[ann.user_id, ben.user_id]).await;
        anns.until_online(&[ann.user_id]).await;
        // Nothing comes any more; who reads on answers pings.
        anns.next().await
    };
    let code = tokio::select! {
        code = silent.close_code() => code,
        ended = watching => panic!("not quiet: {ended:?}"),
    };
    assert_eq!(code, Some(1001));
    anns.until_online(&[ann.user_id]).await;
    // Who answers stays.
    anns.close().await;
}

#[actix_web::test]
async fn who_does_not_read_is_closed_and_slows_nobody() {
    let serving = serving(&[]).await;
    let presence = &serving.app.state.presence;
    let (ann, ben) = (serving.app.user("ann").await, serving.app.user("ben").await);
    presence.set_timeouts(Timeouts {
        send: Duration::from_millis(500),
        ..Timeouts::default()
    });
    let mut anns = open(&serving, &ann).await;
    let mut stopped = Rude::open(&serving.address, Serving::token(&ben)).await;
    let someone = Joining {
        user_id: 4711,
        session_id: 4711,
        name: "Somebody",
        names_version: 0,
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let _registration = presence.join(someone).ok().unwrap();
    let mut told = 0;
    while presence.sockets() == 3 {
        told += 1;
        assert!(told < 100, "it is never closed");
        // Long enough to fill what the connection buffers.
        let name = format!("{told} {}", "x".repeat(1_000_000));
        presence.rename(someone.user_id, &name);
        let is_told = |socket: &Socket| socket.view.get(&4711).is_some_and(|user| user.0 == name);
        anns.until("told every change", is_told).await;
    }
    anns.until_online(&[ann.user_id, someone.user_id]).await;
    // The frame that says so comes last, if it found a place before the connection
    // was given up.
    let code = stopped.close_code().await;
    assert!(matches!(code, None | Some(1013)), "{code:?}");
    anns.close().await;
}
