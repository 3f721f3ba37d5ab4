//! Faults that are made for real beside a server under use: what each kind of client sees, that
//! nothing acknowledged is lost, and how long it takes until all is well. `make chaos` makes all of
//! them and writes the table of docs/reliability.md.

mod descriptors;
mod disk;
mod floods;
mod network;
mod seen;
mod server;
mod world;

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use seen::Table;
use world::{Kind, WITHOUT_DATABASE, World};

use crate::harness::mariadb::Mariadb;
use crate::harness::proxy::Proxy;

/// How long a fault lasts, and all is well before and after it.
const FAULT: Duration = Duration::from_secs(4);
const CALM: Duration = Duration::from_secs(2);
/// How long it may take until all is well.
const WELL: Duration = Duration::from_secs(2);

fn pause(time: Duration) {
    let (_keep, never) = channel::<()>();
    let _ = never.recv_timeout(time);
}

/// Lasts for so long.
fn lasting(time: Duration, begin: impl FnOnce(), end: impl FnOnce()) -> Instant {
    begin();
    pause(time);
    let ended = Instant::now();
    end();
    ended
}

/// The database is killed under use: nothing acknowledged is lost or done twice, and who needs no
/// database does not notice.
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
    seen.spares(&WITHOUT_DATABASE);
    seen.refuses(Kind::Read);
    seen.refuses(Kind::Write);
    world.is_kept();
}

/// Makes faults and goes on with others when they are not met as they should be: whether they are.
fn are_met(make: impl FnOnce()) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(make)).is_ok()
}

#[test]
#[ignore = "make chaos"]
fn measured_faults() {
    let Some(mut database) = Mariadb::start() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let mut table = Table::of("faults");
    let url_at = |address: &str| format!("{}&deadline=4", Mariadb::url_at(address));
    let mut are_all_met = true;
    {
        let directory = dir.path().join("direct");
        let world = World::start(&directory, &url_at(&database.address), 100);
        are_all_met &= are_met(|| server::ends(&world, &mut database, &mut table));
        are_all_met &= are_met(|| server::refuses(&world, &database, &mut table));
        are_all_met &= are_met(|| server::waits(&world, &database, &mut table));
        are_all_met &= are_met(|| world.is_kept());
    }
    database.sql("DROP DATABASE inkpot; CREATE DATABASE inkpot CHARACTER SET utf8mb4");
    {
        let proxy = Proxy::before(&database.address);
        let directory = dir.path().join("by_proxy");
        let url = url_at(&proxy.address.to_string());
        let world = World::start(&directory, &url, 100);
        are_all_met &= are_met(|| network::faults(&world, &proxy, &mut table));
        are_all_met &= are_met(|| server::is_full(&world, &database, &proxy, &mut table));
        are_all_met &= are_met(|| world.is_kept());
    }
    are_all_met &= are_met(|| disk::full(&mut table));
    are_all_met &= are_met(|| descriptors::used_up_in_table(&mut table));
    assert!(are_all_met, "see above");
    table.write();
}

#[test]
#[ignore = "make chaos"]
fn measured_floods() {
    let Some(database) = Mariadb::start() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let mut table = Table::of("floods");
    let world = World::start(dir.path(), &Mariadb::url_at(&database.address), 100);
    floods::all(&world, &mut table);
    world.is_kept();
    table.write();
}
