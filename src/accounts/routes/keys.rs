//! The JWK set: the public keys, for other services that verify tokens by themselves. And all keys, for admins: how old they are
//! and what they are used for.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::accounts::Accounts;
use crate::accounts::extract::Admin;
use crate::accounts::tokens::{KeyInfo, Use};
use crate::accounts::views::{KeyView, key_example};
use crate::core::settings::Settings;
use crate::error::Error;
use crate::http::endpoint::{Endpoint, Operation};
use crate::http::response::{self, CacheControl};

/// The endpoints of this module.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new("/.well-known/jwks.json").get(
            Operation::new("getKeys", "service", "List the public keys that verify tokens", "The public keys that verify tokens")
                .description(
                    "A JWK set (RFC 7517) of the keys whose tokens are taken now or will be. Empty when tokens are \
                     signed with a secret. A new key is in it for ten minutes (a setting) before it signs, and `Cache-Control` \
                     lets the set be kept for half of that; look again when a token names a `kid` that you do not know, and take only the algorithm that the key has.",
                )
                .answers::<JsonWebKeys>(
                    StatusCode::OK,
                    json!({ "keys": [{
                        "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                        "kid": "01JD3ZK6W0Q7V4T8N5XH2B9CRM", "alg": "EdDSA", "use": "sig",
                    }] }),
                )
                .revalidates(),
            keys,
        ),
        Endpoint::new("/keys").get(
            Operation::new(
                "listKeys",
                "service",
                "List the keys that tokens are signed with",
                "Every key that this process knows, in the order of their making",
            )
            .description(
                "For admins. What each is used for and how old it is; nothing of it that is secret. They are renewed by \
                 `inkpot keys rotate`.",
            )
            .database()
            .answers::<KeysAnswer>(StatusCode::OK, json!({ "keys": [key_example()] })),
            list,
        ),
    ]
}

#[derive(Serialize, ToSchema)]
struct KeysAnswer {
    keys: Vec<KeyView>,
}

async fn list(_: Admin, app: Data<Accounts>) -> Result<HttpResponse, Error> {
    let answer = KeysAnswer {
        keys: app.tokens.list().into_iter().map(KeyView::from).collect(),
    };
    response::json(StatusCode::OK, CacheControl::NoStore, &answer)
}

/// A JWK set: public keys only, so that there is nothing to leave out by mistake.
#[derive(Serialize, ToSchema)]
struct JsonWebKeys {
    keys: Vec<JsonWebKey>,
}

/// A public key as RFC 7517 writes it.
#[derive(Serialize, ToSchema)]
struct JsonWebKey {
    #[schema(example = "OKP")]
    kty: &'static str,
    #[schema(example = "Ed25519")]
    crv: &'static str,
    x: String,
    /// With ES256 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    y: Option<String>,
    /// What the header of a token calls its key.
    kid: String,
    /// The only algorithm that the key is for.
    #[schema(example = "EdDSA")]
    alg: &'static str,
    /// For signatures.
    #[serde(rename = "use")]
    #[schema(example = "sig")]
    purpose: &'static str,
}

impl JsonWebKey {
    /// `None` for a key that is secret as a whole, or of no use any more.
    fn of(key: KeyInfo) -> Option<Self> {
        let public = key.public.filter(|_| key.used != Use::Retired)?;
        Some(Self {
            kty: public.kty,
            crv: public.crv,
            x: public.x,
            y: public.y,
            kid: key.kid,
            alg: key.alg.name(),
            purpose: "sig",
        })
    }
}

async fn keys(app: Data<Accounts>, settings: Data<Settings>) -> Result<HttpResponse, Error> {
    let keys = app.tokens.list();
    let keys: Vec<_> = keys.into_iter().filter_map(JsonWebKey::of).collect();
    // Kept for half of the time in which a new key is published and does not sign, a set has it
    // when it does. None is kept where there is no key: the first one signs soon.
    let kept = if keys.is_empty() {
        1
    } else {
        settings.key_lead / 2
    };
    let rendered = response::render(&JsonWebKeys { keys })?;
    Ok(
        response::builder(StatusCode::OK, CacheControl::PublicFor(kept))
            .insert_header((header::ETAG, rendered.etag))
            .body(rendered.body),
    )
}
