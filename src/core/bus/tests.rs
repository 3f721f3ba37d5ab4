use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Owed {
    number: i64,
}

impl Event for Owed {
    const NAME: &'static str = "owed";
    const IS_OWED: bool = true;
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Harmless {}

impl Event for Harmless {
    const NAME: &'static str = "harmless";
    const IS_OWED: bool = false;
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Greeting {
    text: String,
}

impl Message for Greeting {
    const NAME: &'static str = "greeting";
}

/// What was heard, in order.
type Heard = Arc<Mutex<Vec<String>>>;

fn bus(has_transport: bool) -> (Arc<Bus>, Option<Outbox>, Heard) {
    let heard = Heard::default();
    let mut to = Subscribers::default();
    let note = |heard: &Mutex<Vec<String>>, text: String| heard.lock().unwrap().push(text);
    to.on(&heard, move |heard, event: &Owed| {
        note(heard, format!("first {}", event.number));
    });
    to.on(&heard, move |heard, event: &Owed| {
        note(heard, format!("second {}", event.number));
    });
    to.on(&heard, move |heard, Harmless {}| {
        note(heard, "harmless".to_owned());
    });
    to.on_message(&heard, move |heard, bus, from, Greeting { text }| {
        note(heard, format!("{from}: {text}"));
        let text = format!("{text} too");
        bus.send_to(from, &Greeting { text });
    });
    to.on_report(&heard, move |heard, _, report| {
        let text = match report {
            Report::Isolated(is_isolated, _) => format!("Isolated({is_isolated})"),
            report => format!("{report:?}"),
        };
        note(heard, text);
    });
    let (bus, outbox) = Bus::new(to, has_transport, true);
    (bus, outbox, heard)
}

fn take(heard: &Heard) -> Vec<String> {
    std::mem::take(&mut heard.lock().unwrap())
}

/// What waits to be sent, and to whom.
fn sent(outbox: &mut Outbox) -> Vec<(Option<String>, serde_json::Value)> {
    let mut all = Vec::new();
    while let Ok(Outgoing { to, text }) = outbox.try_recv() {
        let to = match to {
            Recipient::All => None,
            Recipient::Process(process) => Some(process),
        };
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value.as_object_mut().unwrap().remove("from").unwrap();
        all.push((to, value));
    }
    all
}

fn receive(bus: &Bus, text: &str) {
    bus.receive(&Head::read(text.as_bytes()).unwrap(), text.as_bytes());
}

#[test]
fn every_subscriber_has_acted_when_publish_returns_in_their_order() {
    let (bus, _, heard) = bus(false);
    bus.publish(&Owed { number: 7 });
    assert_eq!(take(&heard), ["first 7", "second 7"]);
    bus.publish(&Harmless {});
    assert_eq!(take(&heard), ["harmless"]);
    // Nobody is there who could miss it.
    assert!(!bus.take_missed() && !bus.has_transport());
}

#[test]
fn what_is_lost_is_made_good_if_it_is_owed() {
    let (bus, outbox, heard) = bus(true);
    let mut outbox = outbox.unwrap();
    bus.publish(&Harmless {});
    assert!(!bus.take_missed());
    bus.publish(&Owed { number: 1 });
    assert!(bus.take_missed() && !bus.take_missed());
    bus.connected();
    bus.publish(&Owed { number: 2 });
    assert!(!bus.take_missed());
    let text = serde_json::json!({ "said": "event", "event": "owed", "number": 2 });
    assert_eq!(sent(&mut outbox), [(None, text)]);
    // What is on its way when the connection ends may be lost.
    bus.disconnected();
    assert!(bus.take_missed());
    bus.connected();
    for number in 0.. {
        bus.publish(&Owed { number });
        if bus.take_missed() {
            assert_eq!(usize::try_from(number), Ok(QUEUE));
            break;
        }
    }
    assert!(take(&heard).contains(&"second 1".to_owned()));
}

#[test]
fn subscribers_learn_what_becomes_of_the_connection() {
    let (bus, _outbox, heard) = bus(true);
    bus.set_others_write(true, now());
    assert_eq!(take(&heard), ["Isolated(true)"]);
    bus.connected();
    // What was kept is dropped before this process counts as one that hears.
    assert_eq!(take(&heard), ["Connected", "Isolated(false)"]);
    bus.disconnected();
    assert_eq!(take(&heard), ["Isolated(true)", "Disconnected"]);
    bus.set_others_write(false, now());
    assert_eq!(take(&heard), ["Isolated(false)"]);
}

#[test]
fn events_of_others_are_heard_and_what_is_not_understood_is_passed_over() {
    let (bus, _outbox, heard) = bus(true);
    bus.connected();
    take(&heard);
    for text in [
        r#"{"from":"a","said":"event","event":"owed","number":"x"}"#,
        r#"{"from":"a","said":"event","event":"newer","number":1}"#,
        r#"{"from":"a","said":"event"}"#,
        r#"{"from":"a","said":"greeting"}"#,
        r#"{"from":"a","said":"newer"}"#,
    ] {
        receive(&bus, text);
        assert_eq!(take(&heard), [""; 0], "{text}");
    }
    assert!(Head::read(b"{}").is_none());
    receive(
        &bus,
        r#"{"from":"a","said":"event","event":"owed","number":3,"x":1}"#,
    );
    assert_eq!(take(&heard), ["first 3", "second 3"]);
}

#[test]
fn messages_go_between_members_only() {
    let (bus, outbox, heard) = bus(true);
    let mut outbox = outbox.unwrap();
    bus.connected();
    take(&heard);
    let hello = r#"{"from":"a","said":"greeting","text":"hello"}"#;
    receive(&bus, hello);
    assert_eq!(take(&heard), ["a: hello"]);
    let greeting = |text| serde_json::json!({ "said": "greeting", "text": text });
    let answer = (Some("a".to_owned()), greeting("hello too"));
    assert_eq!(sent(&mut outbox), [answer]);
    bus.leave();
    bus.leave();
    let text = "hello".to_owned();
    bus.send(&Greeting { text });
    receive(&bus, hello);
    assert_eq!(take(&heard), [""; 0]);
    // Events go on: others must hear what the last requests write.
    bus.publish(&Harmless {});
    receive(&bus, r#"{"from":"a","said":"event","event":"harmless"}"#);
    assert_eq!(take(&heard), ["harmless", "harmless"]);
    let harmless = serde_json::json!({ "said": "event", "event": "harmless" });
    let leave = serde_json::json!({ "said": "bye" });
    assert_eq!(sent(&mut outbox), [(None, leave), (None, harmless)]);
}
