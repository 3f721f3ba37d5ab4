//! What happens to users and their sessions. What is lost of it is not owed, since other
//! processes read it in the database.

use serde::{Deserialize, Serialize};

use crate::core::bus::Event;

/// A session, or every one of a user, may have ended, or have other rights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnded {
    pub user_id: i64,
    /// `None` for every one of the user.
    pub session_id: Option<i64>,
}

impl SessionEnded {
    /// About one session.
    pub fn one(user_id: i64, session_id: i64) -> Self {
        Self {
            user_id,
            session_id: Some(session_id),
        }
    }

    /// About every session of a user.
    pub fn all_of(user_id: i64) -> Self {
        Self {
            user_id,
            session_id: None,
        }
    }
}

impl Event for SessionEnded {
    const NAME: &'static str = "session_ended";
    const IS_OWED: bool = false;
}

/// A user has another name, perhaps. The answers that show it are another event's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserChanged {
    pub user_id: i64,
}

impl Event for UserChanged {
    const NAME: &'static str = "user_changed";
    const IS_OWED: bool = false;
}
