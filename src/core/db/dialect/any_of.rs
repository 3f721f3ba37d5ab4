//! `IN` for lists of values whose statement is prepared once.

use diesel::backend::Backend;
use diesel::expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Bool, HasSqlType, SingleValue, Text};

/// `column IN (…)`. See [`any_of`].
#[derive(Clone, Debug)]
pub struct AnyOf<C, V> {
    column: C,
    values: Vec<V>,
}

/// What a list may be of, as the columns have it.
pub trait Value: Clone {
    type SqlType: SingleValue;
    /// What no row has.
    fn nobodys() -> Self;
}

impl Value for i64 {
    type SqlType = BigInt;
    fn nobodys() -> Self {
        Self::MIN
    }
}

impl Value for String {
    type SqlType = Text;
    fn nobodys() -> Self {
        "\u{0}".to_owned()
    }
}

/// Whether a column has one of these values. Diesel's own `eq_any` has its statement
/// prepared anew each time, which is a round trip more; here the list is filled up to a power of two
/// with its last value, so that there are few statements, and those stay prepared.
pub fn any_of<C, V: Value>(column: C, values: &[V]) -> AnyOf<C, V> {
    let mut values = values.to_vec();
    // Of an empty list nothing is found.
    let last = values.last().cloned().unwrap_or_else(V::nobodys);
    values.resize(values.len().next_power_of_two(), last);
    AnyOf { column, values }
}

impl<C: Expression, V> Expression for AnyOf<C, V> {
    type SqlType = Bool;
}

impl<C: AppearsOnTable<T>, V, T> AppearsOnTable<T> for AnyOf<C, V> where Self: Expression {}

impl<C: SelectableExpression<T>, V, T> SelectableExpression<T> for AnyOf<C, V> where
    Self: AppearsOnTable<T>
{
}

impl<C: ValidGrouping<G>, V, G> ValidGrouping<G> for AnyOf<C, V> {
    type IsAggregate = C::IsAggregate;
}

impl<C, V> QueryId for AnyOf<C, V> {
    type QueryId = ();
    // The text differs by the length of the list.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C, V, DB> QueryFragment<DB> for AnyOf<C, V>
where
    V: Value + ToSql<V::SqlType, DB>,
    DB: Backend + HasSqlType<V::SqlType>,
    C: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.column.walk_ast(out.reborrow())?;
        out.push_sql(" IN (");
        for (place, value) in self.values.iter().enumerate() {
            if place > 0 {
                out.push_sql(", ");
            }
            out.push_bind_param::<V::SqlType, _>(value)?;
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
