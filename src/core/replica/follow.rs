//! What keeps a replica measured, for as long as the process runs: the heartbeat at the
//! primary, and a look at the replica.

use std::sync::Arc;
use std::time::Duration;

use super::Replica;
use crate::core::cache::moment::Moment;
use crate::core::db::{Bulkhead, Db, dialect};
use crate::core::telemetry::chain::Chain;

/// How often a process looks.
const INTERVAL: Duration = Duration::from_millis(250);

/// Looks at the primary by the connections of `primary`, and at the replica, again and again.
/// `begin` tells the present moment of what this process knows to be written.
pub async fn run(replica: Arc<Replica>, primary: Db, begin: impl Fn() -> Moment) {
    let marks = async {
        loop {
            mark(&replica, &primary, &begin).await;
            tokio::time::sleep(INTERVAL).await;
        }
    };
    let looks = async {
        loop {
            look(&replica).await;
            tokio::time::sleep(INTERVAL).await;
        }
    };
    futures_util::future::join(marks, looks).await;
}

/// Notes what this process knows beside the number that is to come, and has it come when it
/// is time. While the primary is away nothing is noted, so the replica is soon too old.
async fn mark(replica: &Replica, primary: &Db, begin: &impl Fn() -> Moment) {
    // In this order: what is known at the moment was committed before the primary is asked.
    let at = replica.clock.steady();
    let moment = begin();
    let Ok(Some(found)) = primary.read(dialect::heartbeat::look).await else {
        return;
    };
    replica.marks.push(found.beat, moment, at);
    if found.is_due() {
        // Whoever is first writes it; whether it was this process makes no difference.
        let _ = primary
            .write(move |conn| dialect::heartbeat::write_next(conn, found.beat))
            .await;
    }
}

/// Asks the replica how new it is.
async fn look(replica: &Replica) {
    let name = Arc::clone(&replica.installation);
    let db = replica.db.reading_by(Bulkhead::Housekeeping);
    let found = db.read(move |conn| dialect::heartbeat::read(conn, &name));
    match found.await {
        Ok(beat) => {
            let now = replica.clock.steady();
            let mark = replica.marks.see(beat);
            let is_young = mark.is_some_and(|mark| now.saturating_sub(mark.at) < replica.bound);
            let bounds = replica.marks.bounds(now, replica.bound);
            let may_be = bounds.is_some_and(|(least, most)| (least..=most).contains(&beat));
            if is_young && may_be {
                replica.health.is_new();
            } else {
                replica.health.is_behind();
            }
        }
        Err(error) => replica.health.is_away(&Chain(&error).to_string()),
    }
}
