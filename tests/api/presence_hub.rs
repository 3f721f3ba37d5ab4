//! The sockets of a process as its parts see them: more of them than a test can open.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use inkpot::core::clock::Clock;
use inkpot::presence::Hub;
use inkpot::presence::hub::{Joining, Refusal, Registration};
use inkpot::presence::membership::{Delta, Member, Online};
use serde_json::Value;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn join(hub: &Arc<Hub>, user_id: i64, address: IpAddr) -> Result<Registration, Refusal> {
    hub.join(Joining {
        user_id,
        session_id: user_id,
        name: &format!("user {user_id}"),
        names_version: hub.names_version(),
        address,
    })
}

fn hub(limits_addresses: bool) -> (Arc<Hub>, Clock) {
    let clock = Clock::by_hand(chrono::Utc::now());
    let hub = Hub::new(clock.clone(), limits_addresses);
    let told = Arc::clone(&hub);
    actix_web::rt::spawn(async move { told.run(|_, _| {}).await });
    (hub, clock)
}

#[actix_web::test]
async fn a_list_has_the_newest_thousand_and_how_many_there_are() {
    let (hub, clock) = hub(false);
    let mut registrations = Vec::new();
    for user_id in 1..=1500 {
        registrations.push(join(&hub, user_id, HERE).unwrap());
        clock.advance(chrono::Duration::seconds(1));
    }
    let mut last = registrations.pop().unwrap();
    let frame = (&mut last.subscription).await.unwrap().snapshot;
    // Behind the head of a frame of that length: two bytes and a length of eight.
    let snapshot: Value = serde_json::from_slice(&frame[10..]).unwrap();
    assert_eq!(
        (&snapshot["type"], &snapshot["total"]),
        (&"snapshot".into(), &1500.into())
    );
    let ids = snapshot["online"].as_array().unwrap().iter();
    let ids: Vec<i64> = ids.map(|user| user["user_id"].as_i64().unwrap()).collect();
    assert_eq!(ids, (501..=1500).rev().collect::<Vec<_>>());
    let listed = hub.list(|total, online, _| (total, online.len()));
    assert_eq!(listed, (1500, 1000));
}

#[actix_web::test]
async fn an_address_has_five_hundred_sockets_and_others_their_own() {
    let (limited, _) = hub(true);
    let mut registrations: Vec<_> = (1..=500)
        .map(|id| join(&limited, id, HERE).unwrap())
        .collect();
    let refused = join(&limited, 501, HERE).err();
    assert_eq!(refused, Some(Refusal::TooManySockets));
    let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    assert!(join(&limited, 501, other).is_ok());
    registrations.pop();
    assert!(join(&limited, 501, HERE).is_ok());
    // Where an operator wants no limits there are none.
    let (open, _) = hub(false);
    let all: Vec<_> = (1..=600).map(|id| join(&open, id, HERE)).collect();
    assert!(all.iter().all(Result::is_ok));
}

#[actix_web::test]
async fn a_hub_that_stops_ends_those_who_wait_and_lets_nobody_in() {
    let (hub, _) = hub(false);
    let mut subscribed = join(&hub, 1, HERE).unwrap();
    let waits = join(&hub, 2, HERE).unwrap();
    let mut frames = (&mut subscribed.subscription).await.unwrap().frames;
    drop(waits);
    let mut waits = join(&hub, 2, HERE).unwrap();
    hub.stop();
    hub.closed().await;
    assert!((&mut waits.subscription).await.is_err());
    // What was told before, and then the end.
    while frames.recv().await.is_ok() {}
    assert_eq!(join(&hub, 3, HERE).err(), Some(Refusal::Stopping));
}

#[actix_web::test]
async fn who_read_a_name_before_it_was_another_one_reads_it_again() {
    let (hub, _) = hub(false);
    let before = hub.names_version();
    hub.invalidate_name(1);
    let join = |names_version| {
        hub.join(Joining {
            user_id: 1,
            session_id: 1,
            name: "Ann",
            names_version,
            address: HERE,
        })
    };
    assert_eq!(join(before).err(), Some(Refusal::StaleName));
    assert_eq!(hub.sockets(), 0);
    let _registration = join(hub.names_version()).ok().unwrap();
    // Nobody was here whose name was to be looked up; now there is.
    hub.invalidate_name(1);
    assert_eq!(hub.stale_names().await, [1]);
    hub.rename(1, "Ann II");
    assert_eq!(hub.list(|_, online, _| online[0].name.clone()), "Ann II");
}

#[actix_web::test]
async fn whatever_changes_at_once_a_frame_stays_small() {
    let (hub, _) = hub(false);
    let mut registration = join(&hub, 1, HERE).unwrap();
    let mut frames = (&mut registration.subscription).await.unwrap().frames;
    let members = |ids: std::ops::Range<i64>| {
        let member = |user_id| Member {
            user: Online {
                user_id,
                name: format!("user {user_id}"),
                since: chrono::DateTime::UNIX_EPOCH.naive_utc(),
            },
            sockets: 1,
        };
        ids.map(member).collect::<Vec<_>>()
    };
    for (version, users, kind, online, total) in [
        (1, 2..902, "change", 900, 901),
        (2, 2..50_002, "snapshot", 1000, 50_001),
        (3, 2..49_002, "change", 0, 49_001),
        (4, 2..12, "snapshot", 11, 11),
    ] {
        hub.update(|membership, now| {
            membership.apply_snapshot("other", version, members(users), now);
        });
        let frame = frames.recv().await.unwrap();
        let text = &frame[frame.iter().position(|byte| *byte == b'{').unwrap()..];
        let told: Value = serde_json::from_slice(text).unwrap();
        let listed = told["online"].as_array().unwrap().len();
        assert_eq!((&told["type"], listed), (&kind.into(), online));
        assert_eq!(told["total"], total);
    }
}

#[actix_web::test]
async fn sockets_in_other_processes_count() {
    let (hub, _) = hub(false);
    let mut registrations: Vec<_> = (0..6).map(|_| join(&hub, 1, HERE).unwrap()).collect();
    let member = |sockets| Member {
        user: Online {
            user_id: 1,
            name: "Ann".to_owned(),
            since: chrono::DateTime::UNIX_EPOCH.naive_utc(),
        },
        sockets,
    };
    hub.update(|membership, now| membership.apply_snapshot("other", 1, vec![member(4)], now));
    assert_eq!(join(&hub, 1, HERE).err(), Some(Refusal::TooManySockets));
    registrations.push(join(&hub, 2, HERE).unwrap());
    let one_less = Delta {
        joined: vec![member(3)],
        left: Vec::new(),
    };
    hub.update(|membership, now| membership.apply_delta("other", 2, one_less, now));
    registrations.push(join(&hub, 1, HERE).unwrap());
    assert_eq!(join(&hub, 1, HERE).err(), Some(Refusal::TooManySockets));
    // Other processes are told how many are left here.
    let mut told = hub.own().1;
    told.sort_unstable_by_key(|member| member.user.user_id);
    let told: Vec<_> = told.iter().map(|m| (m.user.user_id, m.sockets)).collect();
    assert_eq!(told, [(1, 7), (2, 1)]);
}
