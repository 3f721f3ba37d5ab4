//! Keys that sign tokens, as they are stored.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::core::db::schema::signing_key;
use crate::core::settings::JwtAlg;

/// A signing key's row.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = signing_key)]
pub struct StoredKey {
    pub kid: String,
    pub alg: String,
    /// The secret part, encrypted under the installation's secret.
    pub sealed: String,
    pub public_key: Option<String>,
    pub created: NaiveDateTime,
    /// Signs from then on.
    pub activates: NaiveDateTime,
    /// Signs no longer from then on.
    pub retires: Option<NaiveDateTime>,
}

/// A signing key that is to be inserted.
pub struct NewKey {
    pub kid: String,
    pub alg: JwtAlg,
    /// The secret part, encrypted under the installation's secret.
    pub sealed: String,
    pub public_key: Option<String>,
}
