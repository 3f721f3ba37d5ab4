//! Verifying an address or a number by a code.

use std::sync::Arc;

use chrono::TimeDelta;

use crate::accounts::Accounts;
use crate::accounts::client_info::ClientInfo;
use crate::accounts::codes::{CodeState, Issued, Order, Purpose};
use crate::accounts::failure::Failure;
use crate::accounts::notifications::{self, Channel};
use crate::accounts::refresh::new_nonce;
use crate::accounts::storage::{audit, codes, users};
use crate::accounts::types::{Action, NewAuditEntry, User};
use crate::jobs::events::JobWritten;
use crate::notify::Language;

fn purpose_of(channel: Channel) -> Purpose {
    match channel {
        Channel::Email => Purpose::VerifyEmail,
        Channel::Mobile => Purpose::VerifyMobile,
    }
}

/// What came of asking for a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeSent {
    /// It is on its way.
    Done,
    /// The user is gone, or not active any more.
    NotFound,
    NoMobile,
    AlreadyVerified,
    /// A code went there just now, and another can after this time.
    TooSoon(TimeDelta),
    /// Too many went there, for the account or in all, and another can after this time.
    TooMany(TimeDelta),
}

/// Has a code sent to an address or a number of the user's, which verifies it.
pub async fn send_code(
    accounts: &Accounts,
    user_id: i64,
    channel: Channel,
    language: Language,
) -> Result<CodeSent, Failure> {
    let now = accounts.directory.clock.now();
    let order = Order {
        nonce: new_nonce().map_err(|why| Failure::fault(why))?,
        order_hash: String::new(),
        is_invitation: false,
    };
    let keys = Arc::clone(&accounts.code_keys);
    let limits = accounts.directory.messages;
    let sent = accounts
        .directory
        .write(
            move |conn| {
                let Some(user) = users::find_active(conn, user_id)? else {
                    return Ok(CodeSent::NotFound);
                };
                let is_verified = match channel {
                    Channel::Email => user.email_verified,
                    Channel::Mobile if user.mobile.is_none() => return Ok(CodeSent::NoMobile),
                    Channel::Mobile => user.mobile_verified,
                };
                if is_verified {
                    return Ok(CodeSent::AlreadyVerified);
                }
                let what = (&user, purpose_of(channel), channel);
                let by = (&*keys, &limits);
                let issued = notifications::send_code(conn, by, what, language, &order, now)?;
                Ok(match issued {
                    Issued::New(_) => CodeSent::Done,
                    Issued::TooSoon { wait, .. } => CodeSent::TooSoon(wait),
                    Issued::TooMany(wait) => CodeSent::TooMany(wait),
                })
            },
            |bus, sent| {
                if *sent == CodeSent::Done {
                    bus.publish(&JobWritten {});
                }
            },
        )
        .await?;
    Ok(sent)
}

/// What came of trying a code.
pub enum Verified {
    /// The address or number is verified.
    Done(Box<User>),
    WrongCode,
    /// The code that was sent last has expired, whatever was tried.
    Expired,
    /// It was used already, or is worth nothing any more.
    Used,
}

/// Verifies an address or a number of the user's by the code that was sent there. Every
/// try leaves a row in the audit.
pub async fn verify(
    accounts: &Accounts,
    user_id: i64,
    (channel, code): (Channel, String),
    client: ClientInfo,
) -> Result<Verified, Failure> {
    let now = accounts.directory.clock.now();
    let keys = Arc::clone(&accounts.code_keys);
    let verified = accounts
        .directory
        .db
        .write(move |conn| {
            let purpose = purpose_of(channel);
            let whose = (Some(user_id), purpose);
            let tried = codes::try_code(conn, &keys, whose, "", &code, now)?;
            let mut user = None;
            if let Some(row) = tried
                && codes::consume(conn, row.code_id, now)?
            {
                let what = (purpose, row.target.as_str());
                user = users::set_verified(conn, user_id, what, now)?;
            }
            let action = match (&user, channel) {
                (None, _) => Action::CodeRefused,
                (Some(_), Channel::Email) => Action::EmailVerified,
                (Some(_), Channel::Mobile) => Action::MobileVerified,
            };
            let entry = NewAuditEntry::by_user(action, user_id);
            audit::insert(conn, entry, &client, now)?;
            // Whoever holds the user's token may know what became of the user's code.
            Ok(match user {
                Some(user) => Verified::Done(Box::new(user)),
                None => match codes::find_state(conn, (user_id, purpose), now)? {
                    CodeState::Expired => Verified::Expired,
                    CodeState::Used => Verified::Used,
                    CodeState::Other => Verified::WrongCode,
                },
            })
        })
        .await?;
    Ok(verified)
}
