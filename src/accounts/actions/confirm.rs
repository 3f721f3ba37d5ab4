//! Re-authentication: a password confirms that it is the user who acts.

use crate::accounts::Directory;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::failure::Failure;
use crate::accounts::password::Password;
use crate::accounts::storage::audit;
use crate::accounts::types::{Action, NewAuditEntry, User};

/// Whether `password` is the user's; a wrong one leaves a row in the audit.
pub(super) async fn confirm(
    directory: &Directory,
    user: &User,
    password: Password,
    client: &ClientInfo,
) -> Result<bool, Failure> {
    let password_hash = user.password_hash.clone();
    if directory.hasher.verify(password, password_hash).await? {
        return Ok(true);
    }
    let (now, client) = (directory.clock.now(), client.clone());
    let entry = NewAuditEntry::by_user(Action::PasswordRefused, user.user_id);
    directory
        .db
        .write(move |conn| audit::insert(conn, entry, &client, now))
        .await?;
    Ok(false)
}
