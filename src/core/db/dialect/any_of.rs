//! `IN` for lists of numbers whose statement is prepared once.

use diesel::backend::Backend;
use diesel::expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Bool, HasSqlType};

/// `column IN (…)`. See [`any_of`].
#[derive(Clone, Debug)]
pub struct AnyOf<C> {
    column: C,
    numbers: Vec<i64>,
}

/// Whether a column has one of these numbers. Diesel's own `eq_any` has its statement
/// prepared anew each time, which is a round trip more; here the list is filled up to a power of two
/// with its last number, so that there are few statements, and those stay prepared.
pub fn any_of<C>(column: C, numbers: &[i64]) -> AnyOf<C> {
    let mut numbers = numbers.to_vec();
    // Of an empty list nothing is found: there is no row without a number.
    let last = numbers.last().copied().unwrap_or(i64::MIN);
    numbers.resize(numbers.len().next_power_of_two(), last);
    AnyOf { column, numbers }
}

impl<C: Expression<SqlType = BigInt>> Expression for AnyOf<C> {
    type SqlType = Bool;
}

impl<C: AppearsOnTable<T>, T> AppearsOnTable<T> for AnyOf<C> where Self: Expression {}

impl<C: SelectableExpression<T>, T> SelectableExpression<T> for AnyOf<C> where
    Self: AppearsOnTable<T>
{
}

impl<C: ValidGrouping<G>, G> ValidGrouping<G> for AnyOf<C> {
    type IsAggregate = C::IsAggregate;
}

impl<C> QueryId for AnyOf<C> {
    type QueryId = ();
    // The text differs by the length of the list.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C, DB> QueryFragment<DB> for AnyOf<C>
where
    DB: Backend + HasSqlType<BigInt>,
    C: QueryFragment<DB>,
    i64: ToSql<BigInt, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.column.walk_ast(out.reborrow())?;
        out.push_sql(" IN (");
        for (place, number) in self.numbers.iter().enumerate() {
            if place > 0 {
                out.push_sql(", ");
            }
            out.push_bind_param::<BigInt, _>(number)?;
        }
        out.push_sql(")");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::db::schema::post;

    #[test]
    fn a_list_is_filled_up_and_its_statement_kept() {
        let sql = |numbers: &[i64]| {
            let query = post::table
                .filter(any_of(post::post_id, numbers))
                .select(post::post_id);
            diesel::debug_query::<diesel::sqlite::Sqlite, _>(&query).to_string()
        };
        let three = sql(&[5, 7, 9]);
        assert!(three.contains("IN (?, ?, ?, ?)"), "{three}");
        assert!(three.contains("[5, 7, 9, 9]"), "{three}");
        assert!(sql(&[5]).contains("IN (?) -- binds: [5]"));
        assert!(sql(&[]).contains(&format!("IN (?) -- binds: [{}]", i64::MIN)));
        let query = post::table.filter(any_of(post::post_id, &[1, 2]));
        let is_kept = QueryFragment::<diesel::sqlite::Sqlite>::is_safe_to_cache_prepared(
            &query,
            &diesel::sqlite::Sqlite,
        );
        assert!(is_kept.unwrap());
    }
}
