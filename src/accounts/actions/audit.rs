//! Reading the audit.

use crate::accounts::Directory;
use crate::accounts::storage::audit;
use crate::accounts::types::AuditEntry;
use crate::core::db::{Bulkhead, DbError};

/// `limit` entries after the first `offset`, newest first, of one user or of all, and how
/// many there are.
pub async fn list_audit(
    directory: &Directory,
    user_id: Option<i64>,
    (offset, limit): (i64, i64),
) -> Result<(Vec<AuditEntry>, i64), DbError> {
    // It counts all there are.
    directory
        .db
        .reading_by(Bulkhead::Searches)
        .read(move |conn| audit::load_page(conn, user_id, (offset, limit)))
        .await
}
