//! Who did what to whose account, when and from where: rows that stay, and log
//! lines. Neither has an address, a password or a token in it.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::accounts::client_info::ClientInfo;
use crate::core::db::Conn;
use crate::core::db::schema::audit;
use crate::http::page::PageRequest;

/// What was done. The names are kept and shown: never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Registered,
    LoggedIn,
    LoginRefused,
    RefreshReused,
    LoggedOut,
    LoggedOutEverywhere,
    SessionEnded,
    ProfileChanged,
    PasswordChanged,
    PasswordRefused,
    PasswordReset,
    CodeRefused,
    EmailVerified,
    MobileVerified,
    RoleChanged,
    Activated,
    Deactivated,
    Deleted,
}

impl Action {
    /// As it is stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::LoggedIn => "logged_in",
            Self::LoginRefused => "login_refused",
            Self::RefreshReused => "refresh_reused",
            Self::LoggedOut => "logged_out",
            Self::LoggedOutEverywhere => "logged_out_everywhere",
            Self::SessionEnded => "session_ended",
            Self::ProfileChanged => "profile_changed",
            Self::PasswordChanged => "password_changed",
            Self::PasswordRefused => "password_refused",
            Self::PasswordReset => "password_reset",
            Self::CodeRefused => "code_refused",
            Self::EmailVerified => "email_verified",
            Self::MobileVerified => "mobile_verified",
            Self::RoleChanged => "role_changed",
            Self::Activated => "activated",
            Self::Deactivated => "deactivated",
            Self::Deleted => "deleted",
        }
    }
}

/// A row.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = audit)]
pub struct Record {
    pub audit_id: i64,
    pub at: NaiveDateTime,
    /// Whose account; `None` where no account was found.
    pub user_id: Option<i64>,
    /// Who acted; `None` for somebody without a token and for the command line.
    pub actor_id: Option<i64>,
    pub action: String,
    pub ip: String,
    pub request_id: String,
    pub detail: String,
}

/// What is written down of an action.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub action: Action,
    pub user_id: Option<i64>,
    pub actor_id: Option<i64>,
    pub detail: &'a str,
}

impl Entry<'static> {
    /// What a user did with their own account.
    pub fn by_user(action: Action, user_id: i64) -> Self {
        Self {
            action,
            user_id: Some(user_id),
            actor_id: Some(user_id),
            detail: "",
        }
    }
}

/// Writes a row and a log line. Inside of the transaction of the action itself.
pub fn insert(
    conn: &mut Conn,
    entry: Entry<'_>,
    client: &ClientInfo,
    now: NaiveDateTime,
) -> QueryResult<()> {
    diesel::insert_into(audit::table)
        .values((
            audit::at.eq(now),
            audit::user_id.eq(entry.user_id),
            audit::actor_id.eq(entry.actor_id),
            audit::action.eq(entry.action.name()),
            audit::ip.eq(&client.ip),
            audit::request_id.eq(&client.request_id),
            audit::detail.eq(entry.detail),
        ))
        .execute(conn)?;
    let is_alarm = entry.action == Action::RefreshReused;
    if is_alarm {
        tracing::warn!(
            target: "inkpot::audit", action = entry.action.name(), user_id = entry.user_id,
            ip = client.ip, request_id = client.request_id, "a used refresh token came back: the session was ended"
        );
    } else {
        tracing::info!(
            target: "inkpot::audit", action = entry.action.name(), user_id = entry.user_id,
            actor_id = entry.actor_id, ip = client.ip, request_id = client.request_id,
            detail = entry.detail, "audit"
        );
    }
    Ok(())
}

/// A page, newest first, of one user or of all, and how many there are.
pub fn load_page(
    conn: &mut Conn,
    user_id: Option<i64>,
    request: PageRequest,
) -> QueryResult<(Vec<Record>, i64)> {
    let (offset, limit) = (request.offset(), i64::from(request.size));
    let all = audit::table
        .select(Record::as_select())
        .order(audit::audit_id.desc())
        .offset(offset)
        .limit(limit);
    match user_id {
        Some(id) => {
            let count = audit::table
                .filter(audit::user_id.eq(id))
                .count()
                .get_result(conn)?;
            Ok((all.filter(audit::user_id.eq(id)).load(conn)?, count))
        }
        None => Ok((all.load(conn)?, audit::table.count().get_result(conn)?)),
    }
}

/// Everything of one user, oldest first, a thousand at a time: those after
/// `after`.
pub fn load_after(conn: &mut Conn, user_id: i64, after: i64) -> QueryResult<Vec<Record>> {
    audit::table
        .filter(audit::user_id.eq(user_id))
        .filter(audit::audit_id.gt(after))
        .order(audit::audit_id)
        .limit(1000)
        .select(Record::as_select())
        .load(conn)
}
