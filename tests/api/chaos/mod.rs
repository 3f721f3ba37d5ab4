//! Faults that are made for real beside a server under use: what each kind of client sees, and that
//! nothing acknowledged is lost.

mod descriptors;
mod seen;
mod world;

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use world::{Kind, World};

use crate::harness::mariadb::Mariadb;

/// How long a fault lasts, and all is well before and after it.
const FAULT: Duration = Duration::from_secs(4);
const CALM: Duration = Duration::from_secs(2);
/// How long it may take until all is well.
const WELL: Duration = Duration::from_secs(2);

fn pause(time: Duration) {
    let (_keep, never) = channel::<()>();
    let _ = never.recv_timeout(time);
}

/// The database is killed under use: nothing acknowledged is lost or done twice, and the server
/// says that it lives.
#[test]
fn a_database_that_is_killed_loses_nothing() {
    let Some(mut database) = Mariadb::start() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let world = World::start(dir.path(), &Mariadb::url_at(&database.address), 100);
    let seen = world.observe(|| {
        database.kill();
        pause(FAULT);
        database.restart();
        Instant::now()
    });
    // A `COMMIT` that was under way may have changed anything: kept answers are dropped then.
    seen.spares(&[Kind::Liveness]);
    seen.refuses(Kind::Read);
    seen.refuses(Kind::Write);
    world.is_kept();
}
