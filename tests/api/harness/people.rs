//! Many accounts at once, written into the database as registrations would.

use chrono::TimeDelta;
use diesel::prelude::*;
use inkpot::accounts::client_info::ClientInfo;
use inkpot::accounts::refresh::{RefreshKeys, new_nonce};
use inkpot::accounts::storage::sessions;
use inkpot::accounts::storage::users;
use inkpot::accounts::tokens::Tokens;
use inkpot::accounts::types::{AdminChange, Email, Mobile, Name, NewUser, User};
use inkpot::core::clock::Clock;
use inkpot::core::db::Conn;
use inkpot::core::settings::Lifetimes;

use super::{SECRET, TestDatabase};

/// How long their tokens and sessions last.
const LIFETIME: TimeDelta = TimeDelta::hours(1);

/// Somebody with a session.
#[derive(Clone, Debug)]
pub struct Person {
    pub user_id: i64,
    pub token: String,
    pub email: String,
    /// As gateways take it.
    pub mobile: String,
}

/// The secrets of the processes of tests.
pub fn secrets() -> Vec<Vec<u8>> {
    vec![SECRET.as_bytes().to_vec()]
}

/// Writes so many accounts without a password, each with address, number and session.
pub fn insert(database: &TestDatabase, count: usize) -> Vec<Person> {
    database.with(move |conn| {
        let inserted: QueryResult<Vec<Person>> =
            conn.transaction(|conn| (0..count).map(|n| insert_one(conn, n)).collect());
        inserted.unwrap()
    })
}

/// Writes an admin beside all of them.
pub fn insert_admin(database: &TestDatabase) -> Person {
    database.with(|conn| {
        let admin = insert_one(conn, 999_999).unwrap();
        let change = AdminChange {
            is_admin: Some(true),
            ..AdminChange::default()
        };
        users::administer(conn, admin.user_id, &change, Clock::system().now()).unwrap();
        admin
    })
}

/// The user of a number, as [`insert`] makes it.
pub fn insert_user(conn: &mut Conn, n: usize) -> QueryResult<User> {
    let new = NewUser {
        email: Email::parse(&format!("person-{n}@example.net"))
            .ok()
            .unwrap(),
        name: Name::parse("Person").ok().unwrap(),
        username: None,
        mobile: Some(Mobile::parse(&format!("+31610{n:06}")).ok().unwrap()),
        password_hash: String::new(),
        now: Clock::system().now(),
    };
    users::insert_user(conn, &new)
}

fn insert_one(conn: &mut Conn, n: usize) -> QueryResult<Person> {
    let user = insert_user(conn, n)?;
    let lifetimes = Lifetimes {
        plain: LIFETIME,
        remembered: LIFETIME,
        longest: LIFETIME,
        token: LIFETIME,
    };
    let opened = sessions::open(
        conn,
        &RefreshKeys::new(&secrets()).unwrap(),
        user.user_id,
        false,
        &new_nonce().unwrap(),
        &ClientInfo::default(),
        (user.created, lifetimes),
    )?;
    let tokens = Tokens::new(&secrets(), 3600, Clock::system()).unwrap();
    Ok(Person {
        user_id: user.user_id,
        token: tokens.issue(user.user_id, opened.session_id).unwrap(),
        email: user.email,
        mobile: user.mobile.unwrap_or_default(),
    })
}
