//! A disk that is full.

use std::io::Write;
use std::process::Command;

use super::seen::Table;
use super::world::{Kind, READERS, World};
use super::{FAULT, lasting};
use crate::harness::left_out;
use crate::harness::mariadb::Mariadb;
use crate::harness::process::output;

/// Bytes of a post: the files of the tables must grow.
const LARGE: usize = 100_000;

/// A small file system.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where none can be made, for which one must be root.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=300m", "none"])
            .arg(dir.path());
        if output(&mut mount).status.success() {
            return Some(Self(dir));
        }
        left_out::say(
            "a full disk.",
            "A small file system can be made by root only",
        );
        None
    }

    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.path().join("filler")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.0.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = output(Command::new("umount").arg("-l").arg(self.0.path()));
    }
}

pub fn full(table: &mut Table) {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let Some(database) = Mariadb::start_in(disk.0.path()) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let world = World::start(dir.path(), &Mariadb::url_at(&database.address), LARGE);
    observe(&world, &disk, "the disk of MariaDB is full", table);
    drop(world);
    drop(database);
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let directory = disk.0.path().join("inkpot");
    std::fs::create_dir(&directory).unwrap();
    let url = format!("sqlite:{}", directory.join("inkpot.db").display());
    let world = World::start(&directory, &url, LARGE);
    observe(&world, &disk, "the disk of SQLite is full", table);
}

fn observe(world: &World, disk: &SmallDisk, fault: &str, table: &mut Table) {
    let seen = world.observe(|| lasting(FAULT, || disk.fill(), || disk.free()));
    seen.spares(&READERS);
    seen.refuses(Kind::Write);
    table.row(fault, "a small file system is filled up, 4 s", &seen);
    world.is_kept();
}
