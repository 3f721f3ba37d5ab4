//! A user with an open session.

use crate::accounts::Accounts;
use crate::accounts::failure::Failure;
use crate::accounts::types::{OpenSession, User};

/// A user with a session and its tokens.
pub struct LoggedIn {
    pub user: User,
    pub access_token: String,
    /// Seconds until the access token ends.
    pub expires_in: u32,
    pub session: OpenSession,
    /// Seconds until the refresh token ends.
    pub refresh_expires_in: i64,
}

impl LoggedIn {
    /// Issues the access token of a session that is committed.
    pub(super) fn new(
        accounts: &Accounts,
        user: User,
        session: OpenSession,
    ) -> Result<Box<Self>, Failure> {
        let remaining = session.expires - accounts.directory.clock.now();
        let access_token = accounts
            .tokens
            .issue(user.user_id, session.session_id)
            .map_err(|why| Failure::fault(why))?;
        Ok(Box::new(Self {
            user,
            access_token,
            expires_in: accounts.tokens.ttl(),
            session,
            refresh_expires_in: remaining.num_seconds().max(0),
        }))
    }
}
