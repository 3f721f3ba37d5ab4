//! Reading the audit.

use crate::accounts::Directory;
use crate::accounts::storage::audit;
use crate::accounts::types::AuditEntry;
use crate::core::db::DbError;
use crate::core::page::{ListPart, Listed};

/// Part of the entries of one user or of all, newest first.
pub async fn list_audit(
    directory: &Directory,
    user_id: Option<i64>,
    part: ListPart,
) -> Result<Listed<AuditEntry>, DbError> {
    directory
        .db
        .snapshot(move |conn| audit::load_part(conn, user_id, part))
        .await
}
