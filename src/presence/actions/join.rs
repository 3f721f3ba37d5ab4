//! A user opens a socket.

use std::net::IpAddr;
use std::sync::Arc;

use crate::accounts::tokens::Subject;
use crate::accounts::{Directory, actions};
use crate::core::db::DbError;
use crate::presence::hub::{Hub, Joining, Refusal, Registration};

/// What came of it.
pub enum Joined {
    Registered(Registration),
    /// There is no such user, or they are not active.
    NoUser,
    /// The user or the address has as many sockets as it may.
    TooManySockets,
    /// The server stops.
    Stopping,
}

/// Registers a socket under its user's name. The name is read again when it may have become
/// another one meanwhile.
pub async fn join(
    hub: &Arc<Hub>,
    directory: &Directory,
    subject: Subject,
    address: IpAddr,
) -> Result<Joined, DbError> {
    let Subject {
        user_id,
        session_id,
    } = subject;
    loop {
        let names_version = hub.names_version();
        let user = actions::find_active_user(directory, user_id).await?;
        let Some(user) = user else {
            return Ok(Joined::NoUser);
        };
        let joined = hub.join(Joining {
            user_id,
            session_id,
            name: &user.name,
            names_version,
            address,
        });
        return Ok(match joined {
            Ok(registration) => {
                // What ended its session since it was looked at did not know of this socket.
                registration.revalidate.notify_one();
                Joined::Registered(registration)
            }
            Err(Refusal::StaleName) => continue,
            Err(Refusal::TooManySockets) => Joined::TooManySockets,
            Err(Refusal::Stopping) => Joined::Stopping,
        });
    }
}
