//! The audit: who did what to whose account, when and from where.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::core::db::schema::audit;

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
    /// All there are.
    pub const ALL: &[Self] = &[
        Self::Registered,
        Self::LoggedIn,
        Self::LoginRefused,
        Self::RefreshReused,
        Self::LoggedOut,
        Self::LoggedOutEverywhere,
        Self::SessionEnded,
        Self::ProfileChanged,
        Self::PasswordChanged,
        Self::PasswordRefused,
        Self::PasswordReset,
        Self::CodeRefused,
        Self::EmailVerified,
        Self::MobileVerified,
        Self::RoleChanged,
        Self::Activated,
        Self::Deactivated,
        Self::Deleted,
    ];

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

/// An audit entry's row.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = audit)]
pub struct AuditEntry {
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

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody without a token.
    Anonymous,
    User(i64),
    /// The operator, at the command line: an entry names nobody, and the address in it
    /// is `local`.
    Operator,
}

impl Actor {
    /// As an entry names them.
    pub fn user_id(self) -> Option<i64> {
        match self {
            Self::User(id) => Some(id),
            Self::Anonymous | Self::Operator => None,
        }
    }
}

/// An entry that is to be written.
#[derive(Clone, Copy, Debug)]
pub struct NewAuditEntry<'a> {
    pub action: Action,
    /// Whose account; `None` where no account was found.
    pub user_id: Option<i64>,
    pub actor: Actor,
    pub detail: &'a str,
}

impl NewAuditEntry<'static> {
    /// What somebody did to an account.
    pub fn new(action: Action, user_id: i64, actor: Actor) -> Self {
        Self {
            action,
            user_id: Some(user_id),
            actor,
            detail: "",
        }
    }

    /// What a user did with their own account.
    pub fn by_user(action: Action, user_id: i64) -> Self {
        Self::new(action, user_id, Actor::User(user_id))
    }

    /// What somebody without a token tried at an account, if there is such.
    pub fn anonymous(action: Action, user_id: Option<i64>) -> Self {
        Self {
            action,
            user_id,
            actor: Actor::Anonymous,
            detail: "",
        }
    }
}
