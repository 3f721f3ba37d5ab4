//! What users look like in the answers of more than one room.

use chrono::NaiveDateTime;
use serde::Serialize;
use serde_json::{Value, json};
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
    /// What they say of themselves: text without markup.
    #[schema(required = true)]
    bio: Option<String>,
    /// Where a picture of them is; an http or https URL of their choice.
    #[schema(required = true)]
    image: Option<String>,
    #[serde(serialize_with = "clock::serialize")]
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    created: NaiveDateTime,
    /// How many posts they have published.
    #[schema(minimum = 0)]
    posts: i64,
    /// How many follow them.
    #[schema(minimum = 0)]
    followers: i64,
    /// How many they follow.
    #[schema(minimum = 0)]
    following: i64,
}

impl From<PublicUser> for PublicView {
    fn from(user: PublicUser) -> Self {
        let PublicUser {
            user_id,
            name,
            username,
            bio,
            image,
            created,
            posts,
            follows,
        } = user;
        Self {
            user_id,
            name,
            username,
            bio,
            image,
            created,
            posts,
            followers: follows.followers,
            following: follows.following,
        }
    }
}

/// For the description.
pub fn public_user_example() -> Value {
    json!({
        "user_id": 1, "name": "Ann Smith", "username": "ann-smith", "bio": "Writes about birds.",
        "image": "https://example.org/ann.jpg", "created": "2026-11-21T09:30:00.123456Z", "posts": 3,
        "followers": 12, "following": 5,
    })
}
