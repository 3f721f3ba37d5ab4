//! The posts room: publishing, reading, listing, searching and feeds.
//!
//! Types: [`types`] (what an author sends, parsed), [`stored`] (posts as they are stored),
//! [`publication`] (a request to publish), [`list`] (filters and pages), [`html`] (a text as others
//! read it), [`schedule`] (posts that are published at a time), [`slug`] (a post's name in links), [`summary`] (the beginning of a text),
//! [`search`] (the words of texts and queries), [`feed`], [`views`] (JSON), [`events`] (what the bus
//! is told), [`stats`] (what is counted of a post). On them stand [`storage`] (rows),
//! [`actions`] (one function a unit of work), [`jobs`] and [`routes`] (HTTP).

pub mod actions;
pub mod events;
pub mod feed;
pub mod html;
pub mod jobs;
pub mod list;
pub mod publication;
pub mod routes;
pub mod schedule;
pub mod search;
pub mod slug;
pub mod stats;
pub mod storage;
pub mod stored;
pub mod summary;
pub mod tag_board;
pub mod types;
pub mod views;

use std::fmt;
use std::sync::Arc;

use self::feed::Blog;
use self::publication::Publisher;
use self::stored::StoredPost;
use self::tag_board::TagBoard;
use crate::core::bus::Bus;
use crate::core::clock::Clock;
use crate::core::db::{Db, DbError};
use crate::core::gather::{Counters, Gatherer};
use crate::core::metrics::{Families, number};

/// Reads posts by their ids for clients. Those who ask at the same time share a query.
pub type PostReader = Gatherer<i64, Result<Option<StoredPost>, DbError>>;

/// The same at a replica, each with the number of the heartbeat that the query found there.
pub type ReplicaReader = Gatherer<i64, Result<(Option<StoredPost>, i64), DbError>>;

/// What the room works with.
pub struct Posts {
    pub db: Db,
    /// Reads single posts.
    pub reader: PostReader,
    /// Reads those that anybody may read at the replica, where there is one.
    pub replica_reader: Option<ReplicaReader>,
    /// Inserts posts.
    pub publisher: Publisher,
    pub clock: Clock,
    pub bus: Arc<Bus>,
    /// What feeds say of the blog, and where they lead.
    pub blog: Blog,
    pub tag_board: Arc<TagBoard>,
}

impl Posts {
    /// Tells of work that is gathered.
    pub fn describe(&self, families: &mut Families<'_>) -> fmt::Result {
        let (read, publish) = (self.reader.counters(), self.publisher.counters());
        let each = |value: fn(&Counters) -> u64| {
            [("read", read), ("publish", publish)]
                .map(|(work, counters)| ([("work", work)], value(counters)))
        };
        families.gauges(
            "inkpot_posts_waiting",
            "Posts that wait to be read or published together with others.",
            [
                ([("work", "read")], number(self.reader.waiting())),
                ([("work", "publish")], number(self.publisher.waiting())),
            ],
        )?;
        families.counters(
            "inkpot_posts_gathered",
            "Posts that were read or published so.",
            each(|counters| counters.jobs.value()),
        )?;
        families.counters(
            "inkpot_posts_runs",
            "Queries and transactions by which they were.",
            each(|counters| counters.runs.value()),
        )?;
        families.counters(
            "inkpot_posts_refused",
            "Posts that were not read or published since too many waited, or too long.",
            each(|counters| counters.refused.value()),
        )
    }
}
