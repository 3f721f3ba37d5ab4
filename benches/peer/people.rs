//! Fills a database with people: users, what the audit says of them and they to a post, and sessions of one.

use std::time::{Duration, Instant};

use clap::Args;
use diesel::prelude::*;
use inkpot::accounts::client_info::ClientInfo;
use inkpot::accounts::refresh::RefreshKeys;
use inkpot::accounts::storage::{audit, sessions, users};
use inkpot::accounts::types::{Action, Actor, Email, Name, NewAuditEntry, NewUser};
use inkpot::core::db::Conn;
use inkpot::core::db::schema::user;
use inkpot::core::settings::Lifetimes;
use inkpot::social::storage::follows::{self, Additions};

use crate::{Outcome, insert, open};

/// Users a transaction.
const BATCH: u64 = 1000;
/// The last of the authors whom the first one follows: some tenth of all posts are theirs.
const FOLLOWED: i64 = 101;
const PROGRESS: Duration = Duration::from_secs(5);

#[derive(Args)]
pub struct Options {
    /// As `DATABASE_URL`
    database: String,
    /// How many users there shall be; what is there already counts
    #[arg(long)]
    users: u64,
    /// Live sessions that are added to the first author, who becomes an admin
    #[arg(long, default_value_t = 0)]
    sessions: u64,
}

/// Adds users named `Person n` who follow the first author and say something, an audit entry for each, and
/// sessions.
pub fn run(options: &Options) -> Outcome<()> {
    let mut conn = open(&options.database)?;
    let there: i64 = user::table.count().get_result(&mut conn)?;
    let newest: Option<i64> = user::table
        .select(diesel::dsl::max(user::user_id))
        .first(&mut conn)?;
    let (first, begun) = (u64::try_from(there)? + 1, Instant::now());
    let mut said = begun;
    let mut next = first;
    while next <= options.users {
        let last = options.users.min(next + BATCH - 1);
        add(&mut conn, next, last)?;
        next = last + 1;
        if said.elapsed() >= PROGRESS {
            said = Instant::now();
            eprintln!("  {last} of {} users", options.users);
        }
    }
    comment(&mut conn, newest.unwrap_or(0))?;
    log_in(&mut conn, options.sessions)
}

/// Has everybody behind this user say their name to the first post.
fn comment(conn: &mut Conn, newest: i64) -> Outcome<()> {
    let columns = "post_id, author_id, content, created, updated, deleted";
    let rows = format!(
        "INSERT INTO comment ({columns}) SELECT 1, user_id, name, created, created, 0 FROM user WHERE user_id > {newest}"
    );
    diesel::sql_query(rows).execute(conn)?;
    Ok(())
}

fn add(conn: &mut Conn, first: u64, last: u64) -> Outcome<()> {
    let invalid = |field: &str| format!("{field} of a user is refused");
    let mut rows = Vec::new();
    for n in first..=last {
        rows.push(NewUser {
            email: Email::parse(&format!("person-{n}@example.org"))
                .map_err(|_| invalid("the address"))?,
            name: Name::parse(&format!("Person {n}")).map_err(|_| invalid("the name"))?,
            username: None,
            mobile: None,
            // Nobody logs in as them.
            password_hash: "-".to_owned(),
            now: insert::date(0),
        });
    }
    let client = ClientInfo::operator();
    conn.transaction(|conn| {
        let mut additions = Additions::default();
        for new in &rows {
            let user = users::insert_user(conn, new)?;
            follows::insert(conn, user.user_id, insert::BUSY, new.now)?;
            additions.add_follow(user.user_id, insert::BUSY, 1);
            let entry = NewAuditEntry::new(Action::Registered, user.user_id, Actor::Operator);
            audit::insert(conn, entry, &client, new.now)?;
        }
        additions.write(conn)
    })?;
    Ok(())
}

fn log_in(conn: &mut Conn, number: u64) -> Outcome<()> {
    if number == 0 {
        return Ok(());
    }
    let keys = RefreshKeys::new(&[vec![7; 32]])?;
    let client = ClientInfo {
        ip: "192.0.2.1".to_owned(),
        user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
            .to_owned(),
        request_id: String::new(),
    };
    let now = chrono::Utc::now().naive_utc();
    let year = chrono::Duration::days(365);
    let lifetimes = Lifetimes {
        plain: year,
        remembered: year,
        longest: year,
        token: chrono::Duration::hours(6),
    };
    conn.transaction(|conn| {
        diesel::update(user::table.find(insert::BUSY))
            .set(user::role.eq("admin"))
            .execute(conn)?;
        let mut additions = Additions::default();
        for author in 2..=FOLLOWED {
            follows::insert(conn, insert::BUSY, author, now)?;
            additions.add_follow(insert::BUSY, author, 1);
        }
        additions.write(conn)?;
        for n in 0..number {
            let (times, nonce) = ((now, lifetimes), format!("{n:043x}"));
            sessions::open(conn, &keys, insert::BUSY, true, &nonce, &client, times)?;
        }
        QueryResult::Ok(())
    })?;
    Ok(())
}
