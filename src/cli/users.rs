//! `inkpot user …`: what the operator does with users, beside a running server.
//! Passwords come from a prompt or from standard input, never from an argument,
//! which every process of the machine could read.

use std::io::{BufRead, IsTerminal, Write};

use super::args::{Form, UserAction};
use super::{say, say_json};
use crate::accounts::Directory;
use crate::accounts::actions::{self, Created, Creation, Deletion, PasswordSet};
use crate::accounts::client_info::ClientInfo;
use crate::accounts::failure::Failure;
use crate::accounts::password::{Fault, Password};
use crate::accounts::routes::{AdminUserAnswer, AdminView};
use crate::accounts::types::{
    Account, Actor, AdminChange, Administered, Email, Mobile, Name, NewAccount, User, Username,
};
use crate::core::clock;
use crate::core::cpu_pool::PoolError;
use crate::core::cpu_pool::Requester;
use crate::core::db::DbError;
use crate::core::page::ListPart;
use crate::core::settings::Settings;
use crate::core::telemetry::chain::Chain;
use crate::error::Code;
use crate::http::path::parse_id;
use crate::notify::Language;
use crate::{server, state};

/// Users that are listed at once.
const AT_ONCE: u32 = 100;
/// Nobody knows in which language a user is written to who does not ask.
const LANGUAGE: Language = Language::English;

/// Does it and says so in a line; the error is one line.
pub fn run(action: UserAction, settings: &Settings, out: &mut impl Write) -> Result<(), String> {
    let db = server::open_database(settings)?;
    let directory = state::directory(settings, db)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    runtime.block_on(perform(action, &directory, out))
}

async fn perform(
    action: UserAction,
    directory: &Directory,
    out: &mut impl Write,
) -> Result<(), String> {
    match action {
        UserAction::Create {
            email,
            name,
            username,
            mobile,
            admin,
        } => {
            let email = Email::parse(&email).map_err(|f| refused("--email", &f))?;
            let name = Name::parse(&name).map_err(|f| refused("--name", &f))?;
            let username = optional("--username", username.as_deref(), Username::choose)?;
            let mobile = optional("--mobile", mobile.as_deref(), Mobile::choose)?;
            let shown = username.as_ref().map_or("", |u| u.text.as_str());
            let new = NewAccount {
                password: new_password(&[&email.text, &name.0, shown])?,
                email,
                name,
                username,
                mobile,
            };
            create(directory, new, admin, out).await
        }
        UserAction::List { form } if form.is_json => list_json(directory, out).await,
        UserAction::List { .. } => list(directory, out).await,
        UserAction::Promote { account } => {
            let change = AdminChange {
                is_admin: Some(true),
                ..AdminChange::default()
            };
            administer(directory, &account, change, "promoted", out).await
        }
        UserAction::Deactivate { account } => {
            let change = AdminChange {
                is_active: Some(false),
                ..AdminChange::default()
            };
            administer(directory, &account, change, "deactivated", out).await
        }
        UserAction::Demote { account } => {
            let change = AdminChange {
                is_admin: Some(false),
                ..AdminChange::default()
            };
            administer(directory, &account, change, "demoted", out).await
        }
        UserAction::Activate { account } => {
            let change = AdminChange {
                is_active: Some(true),
                ..AdminChange::default()
            };
            administer(directory, &account, change, "activated", out).await
        }
        UserAction::Show { account, form } => show(find(directory, &account).await?, form, out),
        UserAction::Delete { account } => delete(directory, &account, out).await,
        UserAction::SetPassword { account } => set_password(directory, &account, out).await,
    }
}

/// Who acts, as the audit has it.
fn operator() -> (Actor, ClientInfo) {
    (Actor::Operator, ClientInfo::operator())
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

async fn create(
    directory: &Directory,
    new: NewAccount,
    is_admin: bool,
    out: &mut impl Write,
) -> Result<(), String> {
    let new = Creation {
        account: new,
        is_admin,
        invited_in: None,
    };
    let created = actions::create_user(directory, &Requester::operator(), new, operator()).await;
    match created.map_err(failed)? {
        Created::Done(user) => say(
            out,
            &format!("created user {} with the role {}", user.user_id, user.role),
        ),
        Created::Taken(identifiers) => {
            let all = identifiers.iter().map(|one| one.taken().row().explanation);
            Err(all.collect::<Vec<_>>().join(" "))
        }
    }
}

/// Calls `hear` with each user, the newest first; some are read at a time.
async fn each_user(
    directory: &Directory,
    mut hear: impl FnMut(User) -> Result<(), String>,
) -> Result<(), String> {
    let mut position = None;
    loop {
        let size = AT_ONCE;
        let part = ListPart::Below { position, size };
        let users = actions::list_users(directory, None, part)
            .await
            .map_err(|error| database_failed(&error))?;
        users.rows.into_iter().try_for_each(&mut hear)?;
        position = users.next;
        if position.is_none() {
            return Ok(());
        }
    }
}

async fn list(directory: &Directory, out: &mut impl Write) -> Result<(), String> {
    each_user(directory, |user| {
        let state = if user.is_active { "active" } else { "inactive" };
        let username = user.username.as_deref().unwrap_or("-");
        let line = format!(
            "{}\t{}\t{state}\t{}\t{username}\t{}",
            user.user_id, user.role, user.email, user.name
        );
        say(out, &plain(&line))
    })
    .await
}

/// Without what a terminal acts on: names of earlier versions may have control characters.
fn plain(line: &str) -> String {
    (line.chars())
        .map(|c| {
            if c.is_control() && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// The same as one value, written piece by piece: there may be a million users.
async fn list_json(directory: &Directory, out: &mut impl Write) -> Result<(), String> {
    let written = |done: std::io::Result<()>| done.map_err(|e| e.to_string());
    written(write!(out, "{{\"users\":["))?;
    let mut comma = "";
    each_user(directory, |user| {
        let text = serde_json::to_string(&AdminView::from(user)).map_err(|e| e.to_string())?;
        written(write!(out, "{comma}{text}"))?;
        comma = ",";
        Ok(())
    })
    .await?;
    say(out, "]}")
}

async fn administer(
    directory: &Directory,
    account: &str,
    change: AdminChange,
    done: &str,
    out: &mut impl Write,
) -> Result<(), String> {
    let user_id = find(directory, account).await?.user_id;
    let outcome = actions::administer(directory, user_id, change, operator()).await;
    match outcome.map_err(failed)? {
        Administered::Done { .. } => say(out, &format!("{done} user {user_id}")),
        Administered::NotFound => Err(unknown(account)),
        Administered::LastAdmin => Err(Code::LastAdmin.row().explanation.to_owned()),
    }
}

/// A field a line, or as an admin's answer has it.
fn show(user: User, form: Form, out: &mut impl Write) -> Result<(), String> {
    if form.is_json {
        let userinfo = user.into();
        return say_json(out, &AdminUserAnswer { userinfo });
    }
    let verified = |is_verified: bool| {
        if is_verified {
            "verified"
        } else {
            "not verified"
        }
    };
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let state = if user.is_active { "active" } else { "inactive" };
    for (name, value) in [
        ("id", user.user_id.to_string()),
        ("name", user.name.clone()),
        (
            "email",
            format!("{}, {}", user.email, verified(user.email_verified)),
        ),
        ("username", or_none(&user.username)),
        (
            "mobile",
            match &user.mobile {
                Some(mobile) => format!("{mobile}, {}", verified(user.mobile_verified)),
                None => "-".to_owned(),
            },
        ),
        ("role", user.role.clone()),
        ("state", state.to_owned()),
        ("created", clock::rfc3339(user.created)),
        ("updated", clock::rfc3339(user.updated)),
    ] {
        say(out, &plain(&format!("{name}\t{value}")))?;
    }
    Ok(())
}

async fn delete(directory: &Directory, account: &str, out: &mut impl Write) -> Result<(), String> {
    let user_id = find(directory, account).await?.user_id;
    let deleted = actions::delete_user(directory, user_id, operator(), LANGUAGE).await;
    match deleted.map_err(failed)? {
        Deletion::Done => say(out, &format!("deleted user {user_id} and all their posts")),
        Deletion::NotFound => Err(unknown(account)),
        Deletion::LastAdmin => Err(Code::LastAdmin.row().explanation.to_owned()),
    }
}

async fn set_password(
    directory: &Directory,
    account: &str,
    out: &mut impl Write,
) -> Result<(), String> {
    let user = find(directory, account).await?;
    let username = user.username.as_deref().unwrap_or("");
    let new = new_password(&[&user.email, &user.name, username])?;
    let user_id = user.user_id;
    let done = actions::set_password(directory, user_id, new, operator(), LANGUAGE).await;
    match done.map_err(failed)? {
        PasswordSet::Done => say(out, &format!("changed the password of user {user_id}")),
        PasswordSet::NotFound => Err(unknown(account)),
    }
}

/// By any identifier, or by the id.
async fn find(directory: &Directory, account: &str) -> Result<User, String> {
    let found = match parse_id(account) {
        Some(id) => actions::find_user(directory, id).await,
        None => actions::find_user_by_account(directory, Account::of(account)).await,
    };
    found
        .map_err(|error| database_failed(&error))?
        .ok_or_else(|| unknown(account))
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

/// What went wrong, as a line.
fn failed(failure: Failure) -> String {
    match failure {
        Failure::Database(error) => database_failed(&error),
        Failure::Pool(PoolError::Overloaded) => "too much is waiting already".to_owned(),
        Failure::Pool(PoolError::Lost(why)) => why.to_owned(),
        Failure::Fault { why, .. } => why,
    }
}

fn database_failed(error: &DbError) -> String {
    Chain(error).to_string()
}
