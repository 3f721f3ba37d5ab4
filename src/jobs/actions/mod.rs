//! What happens to jobs: [`enqueue()`] in the transaction of their cause; listing, retrying
//! and purging for admins and the operator; [`expired`] for the sweep.

pub mod enqueue;
pub mod expired;
pub mod manage;

pub use enqueue::{cancel, enqueue, enqueue_periodic, plan};
pub use manage::{find, find_unfinished, list, load_of_user, measure, purge, retry, retry_dead};
