//! Re-authentication: a password confirms that it is the user who acts.

use std::net::IpAddr;

use crate::accounts::Accounts;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::failure::Failure;
use crate::accounts::limits;
use crate::accounts::password::Password;
use crate::accounts::storage::audit;
use crate::accounts::types::{Account, Action, NewAuditEntry, User};
use crate::core::cpu_pool::Requester;
use crate::core::rate_limits::{Decision, LimitExceeded};

/// What came of asking for the current password.
pub(super) enum Confirmation {
    Right,
    Wrong,
    RateLimited(LimitExceeded),
}

/// Whether `password` is the user's. It is a try of the account, as a login is: whoever
/// holds a session guesses no faster by it. A wrong one leaves a row in the audit.
pub(super) async fn confirm(
    accounts: &Accounts,
    user: &User,
    password: Password,
    (client, address): (&ClientInfo, IpAddr),
) -> Result<Confirmation, Failure> {
    let account = Account::of(&user.email);
    let limit = &limits::ACCOUNT;
    let tried = accounts.limits.check_subject(limit, &account, address);
    if let Decision::Limited(refused) = tried.await {
        return Ok(Confirmation::RateLimited(refused.into()));
    }
    let directory = &accounts.directory;
    let password_hash = user.password_hash.clone();
    let requester = Requester::about(address, account.key());
    let verified = (directory.hasher).verify(&requester, password, password_hash);
    if verified.await? {
        accounts.limits.succeeded(limit, &account).await;
        return Ok(Confirmation::Right);
    }
    let (now, client) = (directory.clock.now(), client.clone());
    let entry = NewAuditEntry::by_user(Action::PasswordRefused, user.user_id);
    directory
        .db
        .write(move |conn| audit::insert(conn, entry, &client, now))
        .await?;
    Ok(Confirmation::Wrong)
}
