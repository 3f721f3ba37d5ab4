//! What is counted of a post, as a column of a query for posts.

use diesel::backend::Backend;
use diesel::expression::{
    AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate,
};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::BigInt;

/// The sum over the slots of a count. See [`post_stat`].
#[derive(Clone, Copy, Debug)]
pub struct PostStat(i32);

/// How many there are of this kind (the column `kind` of `post_stat`) of the post of each row; a
/// look into the table's key for each. Diesel's own subqueries would make a decimal number of a
/// sum, and text of our own would be prepared anew each time.
pub fn post_stat(kind: i32) -> PostStat {
    PostStat(kind)
}

impl Expression for PostStat {
    type SqlType = BigInt;
}

impl<T> AppearsOnTable<T> for PostStat {}

impl<T> SelectableExpression<T> for PostStat {}

impl<G> ValidGrouping<G> for PostStat {
    type IsAggregate = is_aggregate::No;
}

impl QueryId for PostStat {
    type QueryId = ();
    // The text differs by the kind.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<DB: Backend> QueryFragment<DB> for PostStat {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        // MySQL's sums are decimal numbers. SQLite takes SIGNED for a number as well.
        out.push_sql(
            "(SELECT CAST(COALESCE(SUM(post_stat.number), 0) AS SIGNED) FROM post_stat \
             WHERE post_stat.post_id = post.post_id AND post_stat.kind = ",
        );
        out.push_sql(&self.0.to_string());
        out.push_sql(")");
        Ok(())
    }
}
