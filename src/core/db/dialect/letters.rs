//! Lower case, the same on both databases.

use diesel::SqliteConnection;
use diesel::result::QueryResult;

diesel::define_sql_function! {
    /// A text in lower case, letters of all scripts.
    fn lower(text: diesel::sql_types::Text) -> diesel::sql_types::Text;
}

/// Has `lower` on SQLite do what it does on MySQL: SQLite's own leaves all letters beyond
/// ASCII as they are.
pub fn fold_all_letters(conn: &mut SqliteConnection) -> QueryResult<()> {
    lower_utils::register_impl(conn, |text: String| text.to_lowercase())
}
