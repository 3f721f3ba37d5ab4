//! What users look like in the answers of more than one room.

use chrono::NaiveDateTime;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::tokens::{KeyInfo, Use};
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

/// A key that signs or verifies tokens, or did, without anything of it that is secret.
#[derive(Serialize, ToSchema)]
pub struct KeyView {
    /// What the header of a token calls it.
    kid: String,
    /// The only algorithm that the key is for.
    #[schema(example = "EdDSA")]
    alg: &'static str,
    kind: KeyKind,
    #[serde(rename = "use")]
    purpose: KeyUse,
    /// When it was made; null for a secret of the settings, which has no date.
    #[serde(serialize_with = "clock::serialize_option")]
    #[schema(required = true, value_type = Option<chrono::DateTime<chrono::Utc>>)]
    created: Option<NaiveDateTime>,
    /// From when new tokens are signed with it; of `next` only.
    #[serde(serialize_with = "clock::serialize_option")]
    #[schema(required = true, value_type = Option<chrono::DateTime<chrono::Utc>>)]
    signs_from: Option<NaiveDateTime>,
    /// Until when its tokens are taken; of one that has signed and does no longer.
    #[serde(serialize_with = "clock::serialize_option")]
    #[schema(required = true, value_type = Option<chrono::DateTime<chrono::Utc>>)]
    verifies_until: Option<NaiveDateTime>,
}

/// What a key is: `secret` is one of `INKPOT_JWT_SECRET`, `shared` a secret that was made here, `pair` has a public part, which
/// the set of public keys shows.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum KeyKind {
    Secret,
    Shared,
    Pair,
}

/// What a key is used for: new tokens are signed with it (`signs`) or will be (`next`), or its tokens are only taken (`verifies`) or refused
/// by now (`retired`).
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum KeyUse {
    Signs,
    Next,
    Verifies,
    Retired,
}

impl From<KeyInfo> for KeyView {
    fn from(key: KeyInfo) -> Self {
        let KeyInfo {
            kid,
            alg,
            used,
            created,
            public,
        } = key;
        let kind = match (created, public) {
            (None, _) => KeyKind::Secret,
            (Some(_), None) => KeyKind::Shared,
            (Some(_), Some(_)) => KeyKind::Pair,
        };
        let (purpose, signs_from, verifies_until) = match used {
            Use::Signs => (KeyUse::Signs, None, None),
            Use::Next(from) => (KeyUse::Next, Some(from), None),
            Use::Verifies => (KeyUse::Verifies, None, None),
            Use::VerifiesUntil(until) => (KeyUse::Verifies, None, Some(until)),
            Use::Retired => (KeyUse::Retired, None, None),
        };
        Self {
            kid,
            alg: alg.name(),
            kind,
            purpose,
            created,
            signs_from,
            verifies_until,
        }
    }
}

/// For the description.
pub fn key_example() -> Value {
    json!({
        "kid": "01JD3ZK6W0Q7V4T8N5XH2B9CRM", "alg": "EdDSA", "kind": "pair", "use": "signs",
        "created": "2026-11-21T09:30:00.123456Z", "signs_from": null, "verifies_until": null,
    })
}
