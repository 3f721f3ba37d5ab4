//! Jobs of the room, one file each: a handler and the payload of its kind.

pub mod delete_leftovers;

use chrono::TimeDelta;

use self::delete_leftovers::DeleteLeftovers;
use crate::core::clock::Clock;
use crate::core::db::Db;
use crate::jobs::handler::Registry;
use crate::maintenance::ExpiredRows;
use crate::social::actions::leftovers;

/// What is left of deleted posts whose job was given up or is gone.
pub const EXPIRED_ROWS: ExpiredRows = ExpiredRows {
    table: "post_leftover",
    kept: TimeDelta::zero(),
    delete: |conn, _, _| leftovers::delete_some(conn),
};

/// Registers the handlers of the room.
pub fn register(registry: Registry, db: &Db, clock: &Clock) -> Registry {
    registry.with(DeleteLeftovers {
        db: db.clone(),
        clock: clock.clone(),
    })
}
