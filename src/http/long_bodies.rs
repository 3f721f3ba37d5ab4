//! How much of long bodies is held at once. A body of a post may take minutes to come, by a slow line
//! or by a client that means harm; those that are held have a bound in all, and each address has a
//! quarter of it. What finds no room is refused at once, and nothing of it is kept.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use crate::core::rate_limits::subscriber;
use crate::error::{Code, Error};

/// Bytes of a body that need no room here: its connection costs as much.
pub const SHORT: usize = 64 * 1024;
/// Bytes of all long bodies: 256 MiB.
const ALL: usize = 256 * 1024 * 1024;
/// Of these, bytes of one address, of which a /64 of IPv6 is one.
const OF_ONE: usize = ALL / 4;

static ROOM: LazyLock<Room> = LazyLock::new(Room::default);

/// Makes room for a body of at most so many bytes from an address.
pub fn hold(address: IpAddr, bytes: usize) -> Result<Held, Error> {
    ROOM.hold(subscriber(address), bytes)
        .ok_or_else(|| Error::new(Code::Overloaded))
}

/// What is held, by address.
#[derive(Default)]
struct Room(Mutex<HashMap<IpAddr, usize>>);

impl Room {
    fn hold(&'static self, address: IpAddr, bytes: usize) -> Option<Held> {
        let mut held = self.lock();
        let all: usize = held.values().sum();
        let own = held.get(&address).copied().unwrap_or(0);
        // One has room however long it is: its length has a bound of its own.
        let fits = all == 0 || all + bytes <= ALL && (own == 0 || own + bytes <= OF_ONE);
        fits.then(|| {
            held.insert(address, own + bytes);
            Held {
                room: self,
                address,
                bytes,
            }
        })
    }

    /// A poisoned lock has nothing half done behind it.
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room that a body takes until this is dropped.
pub struct Held {
    room: &'static Room,
    address: IpAddr,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.room.lock();
        if let Some(own) = held.get_mut(&self.address) {
            *own = own.saturating_sub(self.bytes);
            if *own == 0 {
                held.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    #[test]
    fn an_address_has_a_quarter_of_the_room_and_all_together_have_all_of_it() {
        let room: &'static Room = Box::leak(Box::default());
        let address = |n: u8| IpAddr::from([192, 0, 2, n]);
        let held_by =
            |n| -> Vec<Held> { std::iter::from_fn(|| room.hold(address(n), MIB)).collect() };
        let mut held: Vec<_> = (0..4).map(held_by).collect();
        assert!(held.iter().all(|held| held.len() == 64), "a quarter each");
        assert!(room.hold(address(4), MIB).is_none(), "nothing is left");
        held[0].pop();
        assert!(
            room.hold(address(1), MIB).is_none(),
            "not for who has a quarter"
        );
        let other = room.hold(address(4), MIB);
        assert!(other.is_some());
        drop((held, other));
        assert!(room.lock().is_empty());
        let long = room.hold(address(0), 2 * ALL);
        assert!(long.is_some(), "one has room however long it is");
        assert!(room.hold(address(1), MIB).is_none());
    }
}
