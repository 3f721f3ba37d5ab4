//! What is counted of a post, as a column of a query for posts.

use diesel::backend::Backend;
use diesel::expression::{
    AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate,
};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::BigInt;

/// What the second of two counts in one number is multiplied with.
const PLACE: i64 = 1 << 31;

/// The sums over the slots of two counts. See [`post_stats`].
#[derive(Clone, Copy, Debug)]
pub struct PostStats([i32; 2]);

/// How many there are of these two kinds (the column `kind` of `post_stat`) of the post of each row, in
/// one number ([`two_of`]): one look into the table's key for each row. Diesel's own subqueries would
/// make a decimal number of a sum.
pub fn post_stats(kinds: [i32; 2]) -> PostStats {
    PostStats(kinds)
}

/// The two counts.
pub fn two_of(number: i64) -> (i64, i64) {
    (number.rem_euclid(PLACE), number.div_euclid(PLACE))
}

impl Expression for PostStats {
    type SqlType = BigInt;
}

impl<T> AppearsOnTable<T> for PostStats {}

impl<T> SelectableExpression<T> for PostStats {}

impl<G> ValidGrouping<G> for PostStats {
    type IsAggregate = is_aggregate::No;
}

impl QueryId for PostStats {
    type QueryId = ();
    // The text differs by the kind.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<DB: Backend> QueryFragment<DB> for PostStats {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        // MySQL's sums are decimal numbers. SQLite takes SIGNED for a number as well.
        out.push_sql("(SELECT CAST(COALESCE(SUM(post_stat.number * CASE post_stat.kind WHEN ");
        let [one, other] = self.0;
        out.push_sql(&format!(
            "{one} THEN 1 WHEN {other} THEN {PLACE} ELSE 0 END"
        ));
        out.push_sql("), 0) AS SIGNED) FROM post_stat WHERE post_stat.post_id = post.post_id)");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_counts_are_in_one_number() {
        for (one, other) in [(0, 0), (1, 0), (0, 1), (7, 100_000), (PLACE - 1, PLACE - 1)] {
            assert_eq!(two_of(one + other * PLACE), (one, other));
        }
    }
}
