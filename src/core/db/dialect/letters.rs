//! Lower case, the same on both databases.

use diesel::SqliteConnection;
use diesel::result::QueryResult;

use super::time_limit::InTimeOnly;

diesel::define_sql_function! {
    /// A text in lower case, letters of all scripts.
    fn lower(text: diesel::sql_types::Text) -> diesel::sql_types::Text;
}

/// What `LIKE` finds a text in lower case with these words in it by, `!` being its escape.
pub fn containing(words: &str) -> String {
    let mut pattern = "%".to_owned();
    for c in words.to_lowercase().chars() {
        if matches!(c, '!' | '%' | '_') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// Has `lower` on SQLite do what it does on MySQL: SQLite's own leaves all letters beyond
/// ASCII as they are. It is what all names are read by, and ends with the time of who asks.
pub fn fold_all_letters(conn: &mut SqliteConnection) -> QueryResult<()> {
    lower_utils::register_impl(conn, |text: String| InTimeOnly(text.to_lowercase()))
}
