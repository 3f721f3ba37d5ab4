//! Whether this process is alone at a MariaDB: nobody else is connected to the server, nor was since
//! the last look. So nobody else can have changed what this process has read.
//!
//! The server's own list of connections says it, and no table in which processes register. It has
//! everybody: servers of an earlier version, another user, whoever types statements by hand. It does
//! not depend on clocks, and who is killed leaves nothing behind. Who was connected between two
//! looks alone is found by the server's count of all connections that there ever were: it has grown
//! by more than this process has opened.
//!
//! A look says how things were when it began, so who trusts it does so for a bounded time. In this
//! time an answer is as old as it may be beside other processes.

use std::time::Instant;

use diesel::QueryResult;

use super::connection::Conn;
use super::deadline::now;
use super::dialect::{Connections, load_connections};
use super::mysql::own::Snapshot;

/// Who else is at the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// Nobody, when the look began and since the look before.
    Alone(Instant),
    /// There is no telling: it is the first look, or connections of this process came or went during
    /// it.
    NotKnown,
    /// Others are, or were since the last look.
    Others,
}

/// What a look has found, with the connections of this process before and after it.
#[derive(Debug)]
pub struct Look {
    begun: Instant,
    before: Snapshot,
    told: Connections,
    after: Snapshot,
}

/// Looks who is connected; `None` where that is not told.
pub fn look(conn: &mut Conn) -> QueryResult<Option<Look>> {
    let Conn::Mysql(conn) = conn else {
        return Ok(None);
    };
    if !conn.is_mariadb() {
        return Ok(None);
    }
    let before = conn.own().snapshot();
    let begun = now();
    let told = load_connections(conn)?;
    let after = conn.own().snapshot();
    Ok(Some(Look {
        begun,
        before,
        told,
        after,
    }))
}

/// Compares each look with the one before.
#[derive(Debug, Default)]
pub struct Watch {
    last: Option<Seen>,
    was_alone: bool,
    has_lost: bool,
}

/// What the last look that could be judged has found.
#[derive(Clone, Copy, Debug)]
struct Seen {
    ever: i64,
    opened: u64,
    given_up: u64,
}

impl Watch {
    /// Whether this process has lost connections by the last look: some that it believes to have may be
    /// dead, whose numbers the server gives to others after it began anew.
    pub fn has_lost(&self) -> bool {
        self.has_lost
    }

    pub fn judge(&mut self, look: &Look) -> Company {
        self.has_lost = false;
        let Look {
            begun,
            before,
            told,
            after,
        } = look;
        if before != after || after.opening > 0 {
            return Company::NotKnown;
        }
        let seen = Seen {
            ever: told.ever,
            opened: after.opened,
            given_up: after.given_up,
        };
        let Some(last) = self.last.replace(seen) else {
            return Company::NotKnown;
        };
        // The server may go on with what was given up, and commit it.
        let has_given_up = seen.given_up != last.given_up;
        // Behind a proxy that shares connections they have other numbers.
        let has_all = has_all_own(told, after);
        let is_alone = !told.has_other_sources
            && has_all
            && has_own_alone(told, after)
            && u64::try_from(seen.ever - last.ever) == Ok(seen.opened - last.opened)
            && !has_given_up;
        self.has_lost = has_given_up || seen.ever < last.ever || (self.was_alone && !has_all);
        self.was_alone = is_alone;
        if is_alone {
            Company::Alone(*begun)
        } else {
            Company::Others
        }
    }
}

/// Whether the server has all connections that this process believes to have.
fn has_all_own(told: &Connections, own: &Snapshot) -> bool {
    let mut open = own.open.values();
    open.all(|id| told.ids.contains(&i64::from(*id)))
}

/// Whether all connections to the server are this process's.
fn has_own_alone(told: &Connections, own: &Snapshot) -> bool {
    let is_own = |id: &i64| {
        u32::try_from(*id)
            .is_ok_and(|id| own.closed.contains(&id) || own.open.values().any(|open| *open == id))
    };
    let visible = i64::try_from(told.ids.len()).unwrap_or(i64::MAX);
    told.ids.iter().all(is_own) && told.connected <= visible
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This process, and the server that it is connected to.
    struct World {
        own: Snapshot,
        told: Connections,
        watch: Watch,
    }

    impl World {
        /// With two connections of ours, and after the first look.
        fn new() -> Self {
            let mut world = Self {
                own: Snapshot::default(),
                told: Connections {
                    ever: 10,
                    ..Connections::default()
                },
                watch: Watch::default(),
            };
            world.open();
            world.open();
            assert_eq!(world.look(), Company::NotKnown);
            world
        }

        /// Opens a connection of ours.
        fn open(&mut self) -> u32 {
            let id = self.connect();
            self.own.opened += 1;
            self.own.open.insert(self.own.opened, id);
            id
        }

        /// Closes one of ours here.
        fn close(&mut self, id: u32) {
            self.own.open.retain(|_, open| *open != id);
        }

        /// Opens anybody's.
        fn connect(&mut self) -> u32 {
            self.told.ever += 1;
            self.told.connected += 1;
            self.told.ids.push(self.told.ever);
            u32::try_from(self.told.ever).unwrap()
        }

        /// Ends a connection at the server.
        fn end(&mut self, id: u32) {
            self.told.connected -= 1;
            self.told.ids.retain(|one| *one != i64::from(id));
        }

        fn judge(&mut self, before: Snapshot, after: Snapshot) -> Company {
            let told = Connections {
                ids: self.told.ids.clone(),
                ..self.told
            };
            self.watch.judge(&Look {
                begun: now(),
                before,
                told,
                after,
            })
        }

        fn look(&mut self) -> Company {
            self.judge(self.own.clone(), self.own.clone())
        }

        #[track_caller]
        fn is_alone(&mut self) {
            let company = self.look();
            assert!(matches!(company, Company::Alone(_)), "{company:?}");
        }

        #[track_caller]
        fn has_others(&mut self) {
            assert_eq!(self.look(), Company::Others);
        }
    }

    #[test]
    fn who_opens_all_connections_is_alone() {
        let mut world = World::new();
        world.is_alone();
        let id = world.open();
        world.is_alone();
        // The server tells of it for a moment after its end.
        world.close(id);
        world.own.closed.push_back(id);
        world.is_alone();
        world.end(id);
        world.is_alone();
    }

    #[test]
    fn others_are_seen_from_the_first_look_until_they_are_gone() {
        let mut world = World::new();
        let id = world.connect();
        world.has_others();
        world.has_others();
        world.end(id);
        world.is_alone();
    }

    #[test]
    fn who_was_there_between_two_looks_is_seen_once() {
        let mut world = World::new();
        world.is_alone();
        let id = world.connect();
        world.end(id);
        world.has_others();
        world.is_alone();
        // Beside one of ours, too.
        world.open();
        let id = world.connect();
        world.end(id);
        world.has_others();
        world.is_alone();
    }

    #[test]
    fn a_user_who_cannot_be_seen_is_counted() {
        let mut world = World::new();
        world.is_alone();
        world.connect();
        world.told.ids.pop();
        world.has_others();
        world.has_others();
    }

    #[test]
    fn what_was_given_up_may_be_done_yet() {
        let mut world = World::new();
        let id = world.open();
        world.is_alone();
        world.close(id);
        world.own.given_up += 1;
        world.has_others();
        // The server goes on with it.
        world.has_others();
        world.end(id);
        world.is_alone();
        // It was at its end already.
        let id = world.open();
        world.is_alone();
        world.close(id);
        world.own.given_up += 1;
        world.end(id);
        world.has_others();
        world.is_alone();
    }

    #[test]
    fn a_server_that_began_anew_had_others_perhaps() {
        let mut world = World::new();
        world.is_alone();
        let gone: Vec<u32> = world.own.open.drain().map(|(_, id)| id).collect();
        for id in gone {
            world.end(id);
        }
        world.told.ever = 0;
        world.open();
        world.has_others();
        assert!(world.watch.has_lost());
        world.is_alone();
        assert!(!world.watch.has_lost());
    }

    #[test]
    fn who_has_dead_connections_is_told_so_once() {
        let mut world = World::new();
        world.is_alone();
        let id = world.open();
        world.is_alone();
        world.end(id);
        world.has_others();
        assert!(world.watch.has_lost());
        // Behind a proxy it would be so for ever.
        world.has_others();
        assert!(!world.watch.has_lost());
        world.close(id);
        world.own.closed.push_back(id);
        world.is_alone();
    }

    #[test]
    fn nothing_is_known_while_own_connections_come_and_go() {
        let mut world = World::new();
        let before = world.own.clone();
        let mut opening = before.clone();
        opening.opening = 1;
        assert_eq!(world.judge(opening.clone(), opening), Company::NotKnown);
        world.open();
        assert_eq!(world.judge(before, world.own.clone()), Company::NotKnown);
        world.is_alone();
    }

    #[test]
    fn other_sources_are_others() {
        let mut world = World::new();
        world.told.has_other_sources = true;
        world.has_others();
    }

    #[test]
    fn connections_by_way_of_a_proxy_have_other_numbers() {
        let mut world = World::new();
        world.told.ids = vec![101, 102];
        world.has_others();
        // One of them by chance that of another.
        world.told.ids = vec![11, 102];
        world.has_others();
    }
}
