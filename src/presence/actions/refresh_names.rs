//! Looks up the names that may have changed.

use std::time::Duration;

use crate::accounts::actions;
use crate::core::db::Db;
use crate::presence::hub::Hub;

/// Names that one query looks up.
const TOGETHER: usize = 500;
/// Before they are looked up again when the database could not be asked.
const AGAIN: Duration = Duration::from_secs(1);

/// Looks names up for as long as the server runs.
pub async fn refresh_names(hub: &Hub, db: &Db) {
    loop {
        for some in hub.stale_names().await.chunks(TOGETHER) {
            match actions::load_names(db, some.to_vec()).await {
                Ok(names) => {
                    for (user_id, name) in names {
                        hub.rename(user_id, &name);
                    }
                }
                Err(_) => {
                    // The follower of other processes says that the database is away.
                    tokio::time::sleep(AGAIN).await;
                    for user_id in some {
                        hub.invalidate_name(*user_id);
                    }
                }
            }
        }
    }
}
