//! What users look like in the answers of more than one room.

use chrono::NaiveDateTime;
use serde::Serialize;
use utoipa::ToSchema;

use super::types::PublicUser;
use crate::core::clock;

/// What anyone may know of a user.
#[derive(Serialize, ToSchema)]
pub struct PublicView {
    #[schema(minimum = 1)]
    user_id: i64,
    name: String,
    #[schema(required = true)]
    username: Option<String>,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    created: NaiveDateTime,
    /// How many posts they have published.
    #[schema(minimum = 0)]
    posts: i64,
}

impl From<PublicUser> for PublicView {
    fn from(user: PublicUser) -> Self {
        let PublicUser {
            user_id,
            name,
            username,
            created,
            posts,
        } = user;
        Self {
            user_id,
            name,
            username,
            created,
            posts,
        }
    }
}
