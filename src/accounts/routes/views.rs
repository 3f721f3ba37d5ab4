//! The views of accounts: what users look like in answers.

use chrono::NaiveDateTime;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::accounts::codes::CodeRow;
use crate::accounts::types::{AccountDetails, AuditEntry, Session, User};
use crate::accounts::views::{PublicView, public_user_example};
use crate::core::clock;
use crate::http::page::Pagination;

/// The own view of a user.
#[derive(Serialize, ToSchema)]
pub struct UserInfo {
    #[schema(minimum = 1)]
    user_id: i64,
    name: String,
    /// As written at registration.
    #[schema(format = "idn-email")]
    email: String,
    #[schema(required = true)]
    username: Option<String>,
    /// In E.164.
    #[schema(required = true)]
    mobile: Option<String>,
    role: Role,
    email_verified: bool,
    mobile_verified: bool,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    created: NaiveDateTime,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    updated: NaiveDateTime,
    /// What they say of themselves.
    #[schema(required = true)]
    bio: Option<String>,
    /// Where a picture of them is.
    #[schema(required = true)]
    image: Option<String>,
}

/// What a user may do beyond their own things.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    User,
    Admin,
}

impl From<User> for UserInfo {
    fn from(user: User) -> Self {
        let role = if user.is_admin() {
            Role::Admin
        } else {
            Role::User
        };
        // Earlier versions kept it as it was written.
        let number = user.number();
        // Whole: no column is left out unnoticed.
        let User {
            user_id,
            email,
            name,
            username,
            mobile,
            password_hash: _,
            role: _,      // said above
            is_active: _, // only admins are told
            email_verified,
            mobile_verified,
            created,
            updated,
            bio,
            image,
        } = user;
        Self {
            user_id,
            name,
            email,
            username,
            mobile: number.or(mobile),
            role,
            email_verified,
            mobile_verified,
            created,
            updated,
            bio,
            image,
        }
    }
}

/// A user, logged in.
#[derive(Serialize, ToSchema)]
pub struct TokenAnswer {
    pub userinfo: UserInfo,
    /// Send it as `Authorization: Bearer <token>`.
    pub token: String,
    #[schema(pattern = "^Bearer$")]
    pub token_type: &'static str,
    /// Seconds.
    #[schema(minimum = 1)]
    pub expires_in: u32,
    /// Takes a new pair at `/user/refresh`, once. Absent when it went into a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    pub refresh_token: Option<String>,
    /// Seconds.
    #[schema(minimum = 0)]
    pub refresh_expires_in: i64,
}

#[derive(Serialize, ToSchema)]
pub struct OwnUserAnswer {
    pub userinfo: UserInfo,
}

#[derive(Serialize, ToSchema)]
pub struct PublicUserAnswer {
    pub user: PublicView,
}

/// A user as admins see them.
#[derive(Serialize, ToSchema)]
pub struct AdminView {
    #[serde(flatten)]
    info: UserInfo,
    is_active: bool,
}

impl From<User> for AdminView {
    fn from(user: User) -> Self {
        Self {
            is_active: user.is_active,
            info: user.into(),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct AdminUserAnswer {
    pub userinfo: AdminView,
}

/// What the administration shows of one user.
#[derive(Serialize, ToSchema)]
pub struct AccountView {
    #[serde(flatten)]
    account: AdminView,
    /// The last login, or the registration; null for who never logged in.
    #[serde(serialize_with = "clock::serialize_option")]
    #[schema(required = true, value_type = Option<chrono::DateTime<chrono::Utc>>)]
    last_login: Option<NaiveDateTime>,
    /// Live ones, the last used first, a hundred at most.
    sessions: Vec<SessionView>,
}

impl AccountView {
    /// As the session `current` sees it.
    pub fn new(details: AccountDetails, current: i64) -> Self {
        let AccountDetails {
            user,
            last_login,
            sessions,
        } = details;
        let sessions = sessions.into_iter();
        Self {
            account: user.into(),
            last_login,
            sessions: sessions
                .map(|session| SessionView::new(session, current))
                .collect(),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct AccountAnswer {
    pub userinfo: AccountView,
}

#[derive(Serialize, ToSchema)]
pub struct UsersAnswer {
    pub users: Vec<AdminView>,
    pub pagination: Pagination,
}

/// A session as its user sees it.
#[derive(Serialize, ToSchema)]
pub struct SessionView {
    #[schema(minimum = 1)]
    session_id: i64,
    /// The one of the token that asks.
    current: bool,
    remembered: bool,
    user_agent: String,
    ip: String,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    created: NaiveDateTime,
    /// The last login or refresh.
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    last_used: NaiveDateTime,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    expires: NaiveDateTime,
}

impl SessionView {
    pub fn new(session: Session, current: i64) -> Self {
        let Session {
            session_id,
            user_id: _, // whoever asks
            remembered,
            nonce: _,
            generation: _,
            refresh_hash: _,
            user_agent,
            ip,
            created,
            rotated,
            expires,
        } = session;
        Self {
            session_id,
            current: session_id == current,
            remembered,
            user_agent,
            ip,
            created,
            last_used: rotated,
            expires,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct SessionsAnswer {
    pub sessions: Vec<SessionView>,
}

/// A row of the audit.
#[derive(Serialize, ToSchema)]
pub struct AuditView {
    #[schema(minimum = 1)]
    audit_id: i64,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    at: NaiveDateTime,
    /// Whose account; null where no account was found.
    #[schema(required = true)]
    user_id: Option<i64>,
    /// Who acted; null for somebody without a token and for the command line.
    #[schema(required = true)]
    actor_id: Option<i64>,
    #[schema(example = "logged_in")]
    action: String,
    ip: String,
    request_id: String,
    detail: String,
}

impl From<AuditEntry> for AuditView {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry {
            audit_id,
            at,
            user_id,
            actor_id,
            action,
            ip,
            request_id,
            detail,
        } = entry;
        Self {
            audit_id,
            at,
            user_id,
            actor_id,
            action,
            ip,
            request_id,
            detail,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct AuditAnswer {
    pub audit: Vec<AuditView>,
    pub pagination: Pagination,
}

/// What was asked for will be done, outside of the request.
#[derive(Serialize, ToSchema)]
pub struct AcceptedAnswer {
    /// Always `accepted`.
    #[schema(example = "accepted")]
    pub status: &'static str,
}

/// A code will be sent if there is such an account.
#[derive(Serialize, ToSchema)]
pub struct ResetOrderedAnswer {
    /// Always `accepted`.
    #[schema(example = "accepted")]
    pub status: &'static str,
    /// Send it along with the code.
    #[schema(pattern = "^[A-Za-z0-9_-]{43}$")]
    pub reset_id: String,
}

pub fn reset_ordered_example() -> serde_json::Value {
    json!({ "status": "accepted", "reset_id": "r2bW0Yz5o9c1v9m6nq7k3H4yT0sUe8Xf2LgBdRjPwQk" })
}

pub fn accepted_example() -> serde_json::Value {
    json!({ "status": "accepted" })
}

/// A code that was sent to the user; not the code itself, which is not stored.
#[derive(Serialize, ToSchema)]
pub struct CodeView {
    #[schema(example = "email")]
    purpose: String,
    target: String,
    #[schema(minimum = 0)]
    tries: i32,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    created: NaiveDateTime,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    expires: NaiveDateTime,
    #[serde(serialize_with = "clock::serialize_option")]
    #[schema(required = true, value_type = Option<chrono::DateTime<chrono::Utc>>)]
    used: Option<NaiveDateTime>,
}

impl From<CodeRow> for CodeView {
    fn from(row: CodeRow) -> Self {
        let CodeRow {
            code_id: _, // nothing can be asked by it
            user_id: _, // whoever asks
            purpose,
            target,
            nonce: _,
            code_hash: _,
            tries,
            created,
            expires,
            used,
        } = row;
        Self {
            purpose,
            target,
            tries,
            created,
            expires,
            used,
        }
    }
}

pub fn code_example() -> serde_json::Value {
    json!({
        "purpose": "email", "target": "ann@example.org", "tries": 1, "created": "2026-11-21T09:30:00Z",
        "expires": "2026-11-21T09:40:00Z", "used": "2026-11-21T09:31:00Z",
    })
}

pub fn userinfo_example() -> serde_json::Value {
    json!({
        "user_id": 1, "name": "Ann Smith", "email": "ann@example.org", "username": "ann-smith",
        "mobile": null, "role": "user", "email_verified": false, "mobile_verified": false,
        "created": "2026-11-21T09:30:00.123456Z", "updated": "2026-11-21T09:30:00.123456Z",
        "bio": "Writes about birds.", "image": null,
    })
}

pub fn account_example() -> serde_json::Value {
    let mut account = userinfo_example();
    account["is_active"] = json!(true);
    account["last_login"] = json!("2026-11-21T09:30:00.123456Z");
    let mut session = session_example();
    session["current"] = json!(false);
    account["sessions"] = json!([session]);
    account
}

pub fn token_example() -> serde_json::Value {
    json!({
        "userinfo": userinfo_example(), "token": "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJIUzI1NiJ9.e30.c2ln",
        "token_type": "Bearer", "expires_in": 3600,
        "refresh_token": "AAAAAAAAAAEAAAAAr2bW0Yz5o9c1v9m6nq7k3H4yT0sUe8Xf2LgBdRjPwQk", "refresh_expires_in": 28800,
    })
}

pub fn public_example() -> serde_json::Value {
    json!({ "user": public_user_example() })
}

pub fn session_example() -> serde_json::Value {
    json!({
        "session_id": 1, "current": true, "remembered": false, "user_agent": "curl/8.5.0", "ip": "192.0.2.7",
        "created": "2026-11-21T09:30:00Z", "last_used": "2026-11-21T09:30:00Z", "expires": "2026-11-21T17:30:00Z",
    })
}

pub fn audit_example() -> serde_json::Value {
    json!({
        "audit_id": 1, "at": "2026-11-21T09:30:00Z", "user_id": 1, "actor_id": null, "action": "logged_in",
        "ip": "192.0.2.7", "request_id": "01JD3ZK6W0Q7V4T8N5XH2B9CRM", "detail": "",
    })
}
