//! Faults of the network between server and database.

use std::time::{Duration, Instant};

use super::seen::Table;
use super::world::{EVERYBODY, Kind, WITHOUT_DATABASE, World};
use super::{FAULT, lasting, pause};
use crate::harness::proxy::Proxy;

/// What everything takes longer at a slow network.
const SLOW: Duration = Duration::from_millis(200);
/// Between two cuts.
const CUTS: Duration = Duration::from_millis(500);
/// Answers from this size on have rows.
const ROWS: usize = 100;

pub fn faults(world: &World, proxy: &Proxy, table: &mut Table) {
    let seen = world.observe(|| lasting(FAULT, || proxy.close(), || proxy.open()));
    seen.spares(&WITHOUT_DATABASE);
    seen.refuses(Kind::Read);
    table.row(
        "the database is away",
        "a proxy closes every connection, 4 s",
        &seen,
    );

    let seen = world.observe(|| lasting(2 * FAULT, || proxy.stall(), || proxy.open()));
    seen.spares(&WITHOUT_DATABASE);
    seen.refuses(Kind::Write);
    table.row(
        "the database cannot be reached: everything sent to it is dropped",
        "a proxy takes all connections and passes nothing on, 8 s; `&deadline=4`",
        &seen,
    );

    let seen = world.observe(|| {
        lasting(
            2 * FAULT,
            || proxy.delay(SLOW),
            || proxy.delay(Duration::ZERO),
        )
    });
    seen.spares(&EVERYBODY);
    table.row(
        "the database is slow",
        "a proxy adds 200 ms to each statement, 8 s",
        &seen,
    );

    let seen = world.observe(|| {
        let begun = Instant::now();
        while begun.elapsed() < FAULT {
            proxy.cut();
            pause(CUTS);
        }
        Instant::now()
    });
    seen.spares(&WITHOUT_DATABASE);
    table.row(
        "connections are cut",
        "a proxy cuts all of them twice a second, 4 s",
        &seen,
    );

    let seen = world.observe(|| {
        let begun = Instant::now();
        let mut cut = 0;
        while begun.elapsed() < FAULT {
            cut += usize::from(!proxy.is_clipping());
            proxy.clip(ROWS);
            pause(CUTS / 2);
        }
        proxy.clip(0);
        assert!(cut > 5, "{cut} answers were cut");
        Instant::now()
    });
    seen.spares(&WITHOUT_DATABASE);
    table.row(
        "rows are cut",
        "a proxy passes half of an answer of the database and cuts its connection, up to four times a second, 4 s",
        &seen,
    );
}
