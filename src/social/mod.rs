//! The social room: what people say to posts, that they like them, and whom they follow.
//!
//! Types: [`types`] (comments, likes and follows, as they are written and stored), [`views`] (JSON), [`events`] (what the
//! bus is told), [`limits`] (how often one may). On them stand [`storage`] (rows), [`actions`] (one
//! function a unit of work), [`jobs`] (what is deleted later) and [`routes`] (HTTP).

pub mod actions;
pub mod events;
pub mod jobs;
pub mod limits;
pub mod routes;
pub mod storage;
pub mod types;
pub mod views;

use std::sync::Arc;

use crate::core::bus::Bus;
use crate::core::clock::Clock;
use crate::core::db::Db;
use crate::core::rate_limits::RateLimits;

/// What the room works with.
pub struct Social {
    pub db: Db,
    pub clock: Clock,
    pub bus: Arc<Bus>,
    pub limits: Arc<RateLimits>,
}

impl Social {
    /// Of the parts of a process.
    pub fn new(db: &Db, clock: &Clock, bus: &Arc<Bus>, limits: &Arc<RateLimits>) -> Self {
        Self {
            db: db.clone(),
            clock: clock.clone(),
            bus: Arc::clone(bus),
            limits: Arc::clone(limits),
        }
    }
}
