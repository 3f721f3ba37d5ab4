//! `inkpot user …`: what the operator does with users, beside a running server.
//! Passwords come from a prompt or from standard input, never from an argument,
//! which every process of the machine could read.

use std::io::{BufRead, IsTerminal, Write};

use super::args::UserAction;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::letters;
use crate::accounts::password::Password;
use crate::accounts::routes::record;
use crate::accounts::storage::audit::{self, Action, Entry};
use crate::accounts::storage::sessions;
use crate::accounts::storage::users::{self, AdminChange, Administered, NewUser, User};
use crate::accounts::types::{Account, Email, Mobile, Name, Username};
use crate::core::clock::Clock;
use crate::core::db::{Db, DbError, dialect};
use crate::core::settings::Settings;
use crate::error::Code;
use crate::http::body::Fault;
use crate::http::page::PageRequest;
use crate::http::path::parse_id;
use crate::notify::Language;
use crate::server;

/// Does it and says so in a line; the error is one line.
pub fn run(action: UserAction, settings: &Settings, out: &mut impl Write) -> Result<(), String> {
    let db = server::open_database(settings)?;
    match action {
        UserAction::Create {
            email,
            name,
            username,
            mobile,
            admin,
        } => {
            let who = New {
                email: Email::parse(&email).map_err(|f| refused("--email", &f))?,
                name: Name::parse(&name).map_err(|f| refused("--name", &f))?,
                username: optional("--username", username.as_deref(), Username::parse)?,
                mobile: optional("--mobile", mobile.as_deref(), Mobile::parse)?,
                admin,
            };
            create(&db, settings, who, out)
        }
        UserAction::List => list(&db, out),
        UserAction::Promote { account } => {
            let change = AdminChange {
                is_admin: Some(true),
                ..AdminChange::default()
            };
            administer(&db, &account, &change, "promoted", out)
        }
        UserAction::Deactivate { account } => {
            let change = AdminChange {
                is_active: Some(false),
                ..AdminChange::default()
            };
            administer(&db, &account, &change, "deactivated", out)
        }
        UserAction::SetPassword { account } => set_password(&db, settings, &account, out),
    }
}

/// A user to be made.
struct New {
    email: Email,
    name: Name,
    username: Option<Username>,
    mobile: Option<Mobile>,
    admin: bool,
}

fn refused(what: &str, fault: &Fault) -> String {
    format!("{what} {}", fault.1)
}

fn optional<T>(
    what: &str,
    text: Option<&str>,
    parse: impl FnOnce(&str) -> Result<T, Fault>,
) -> Result<Option<T>, String> {
    text.map(|text| parse(text).map_err(|f| refused(what, &f)))
        .transpose()
}

fn create(db: &Db, settings: &Settings, who: New, out: &mut impl Write) -> Result<(), String> {
    let username = who.username.as_ref().map_or("", |u| u.text.as_str());
    let password = new_password(&[&who.email.text, &who.name.0, username])?;
    let now = Clock::system().now();
    let new = NewUser {
        password: password
            .hash(settings.bcrypt_cost)
            .map_err(|e| e.to_string())?,
        email: who.email,
        name: who.name,
        username: who.username,
        mobile: who.mobile,
        now,
    };
    let client = ClientInfo::operator();
    let user = db
        .write_blocking(&|conn| {
            let mut user = users::insert_user(conn, &new)?;
            let entry = Entry {
                action: Action::Registered,
                user_id: Some(user.user_id),
                actor_id: None,
                detail: "",
            };
            audit::insert(conn, entry, &client, now)?;
            if who.admin {
                let change = AdminChange {
                    is_admin: Some(true),
                    ..AdminChange::default()
                };
                let done = users::administer(conn, user.user_id, &change, now)?;
                if let Administered::Done(before, after) = done {
                    record(conn, None, &before, &after, &client, now)?;
                    user = *after;
                }
            }
            Ok(user)
        })
        .map_err(|error| match &error {
            DbError::Unique(message) => match dialect::unique_index(message, &users::UNIQUE) {
                Some("user_email_key") => Code::EmailTaken.row().explanation.to_owned(),
                Some("user_username_key") => Code::UsernameTaken.row().explanation.to_owned(),
                Some("user_mobile_key") => Code::MobileTaken.row().explanation.to_owned(),
                _ => said(error),
            },
            _ => said(error),
        })?;
    say(
        out,
        &format!("created user {} with the role {}", user.user_id, user.role),
    )
}

fn list(db: &Db, out: &mut impl Write) -> Result<(), String> {
    let mut page = 1;
    loop {
        let request = PageRequest { page, size: 100 };
        let (users, _) = db
            .read_blocking(&|conn| users::load_page(conn, None, request))
            .map_err(said)?;
        if users.is_empty() {
            return Ok(());
        }
        for user in users {
            let state = if user.is_active { "active" } else { "inactive" };
            let username = user.username.as_deref().unwrap_or("-");
            let line = format!(
                "{}\t{}\t{state}\t{}\t{username}\t{}",
                user.user_id, user.role, user.email, user.name
            );
            say(out, &line)?;
        }
        page += 1;
    }
}

fn administer(
    db: &Db,
    account: &str,
    change: &AdminChange,
    done: &str,
    out: &mut impl Write,
) -> Result<(), String> {
    let user = find(db, account)?;
    let (now, client) = (Clock::system().now(), ClientInfo::operator());
    let outcome = db
        .write_blocking(&|conn| {
            let outcome = users::administer(conn, user.user_id, change, now)?;
            if let Administered::Done(before, after) = &outcome {
                record(conn, None, before, after, &client, now)?;
            }
            Ok(outcome)
        })
        .map_err(said)?;
    match outcome {
        Administered::Done(..) => say(out, &format!("{done} user {}", user.user_id)),
        Administered::NotFound => Err(unknown(account)),
        Administered::LastAdmin => Err(Code::LastAdmin.row().explanation.to_owned()),
    }
}

fn set_password(
    db: &Db,
    settings: &Settings,
    account: &str,
    out: &mut impl Write,
) -> Result<(), String> {
    let user = find(db, account)?;
    let username = user.username.as_deref().unwrap_or("");
    let password = new_password(&[&user.email, &user.name, username])?;
    let hash = password
        .hash(settings.bcrypt_cost)
        .map_err(|e| e.to_string())?;
    let (now, client) = (Clock::system().now(), ClientInfo::operator());
    db.write_blocking(&|conn| {
        users::set_record(conn, user.user_id, &hash, now)?;
        let entry = Entry {
            action: Action::PasswordChanged,
            user_id: Some(user.user_id),
            actor_id: None,
            detail: "",
        };
        audit::insert(conn, entry, &client, now)?;
        letters::password_changed(conn, &user, Language::English, now)?;
        sessions::end_all(conn, user.user_id, None, now)
    })
    .map_err(said)?;
    say(
        out,
        &format!("changed the password of user {}", user.user_id),
    )
}

/// By any identifier, or by the id.
fn find(db: &Db, account: &str) -> Result<User, String> {
    let found = match parse_id(account) {
        Some(id) => db.read_blocking(&|conn| users::find_user(conn, id)),
        None => {
            let account = Account::of(account);
            db.read_blocking(&|conn| users::find_by_account(conn, &account))
        }
    };
    found.map_err(said)?.ok_or_else(|| unknown(account))
}

fn unknown(account: &str) -> String {
    format!("no user is called {account}")
}

/// From the terminal without an echo, twice; or the first line of standard input.
fn new_password(own: &[&str]) -> Result<Password, String> {
    let stdin = std::io::stdin();
    let text = if stdin.is_terminal() {
        let ask = |prompt| rpassword::prompt_password(prompt).map_err(|e| e.to_string());
        let text = ask("New password: ")?;
        if ask("Once more: ")? != text {
            return Err("the two are not the same".to_owned());
        }
        text
    } else {
        let mut line = String::new();
        stdin
            .lock()
            .read_line(&mut line)
            .map_err(|e| format!("cannot read the password: {e}"))?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    if text.chars().any(char::is_control) {
        return Err("the password holds a control character".to_owned());
    }
    Password::choose(&text, own).map_err(|f| refused("the password", &f))
}

fn said(error: DbError) -> String {
    match error {
        DbError::Unique(why) | DbError::Unavailable(why) | DbError::Fault(why) => why,
        DbError::ForeignKey => "a row that it refers to is gone".to_owned(),
    }
}

fn say(out: &mut impl Write, line: &str) -> Result<(), String> {
    writeln!(out, "{line}").map_err(|e| e.to_string())
}
