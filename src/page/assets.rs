//! What documents load: the style sheet, modules and a picture, embedded in the program. Their addresses have
//! a hash of all of them, so browsers keep them for ever; a document of another version of the
//! program, while an installation is renewed, gets those that are here and keeps nothing.

use std::borrow::Cow;
use std::sync::{LazyLock, OnceLock};

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use sha2::{Digest, Sha256};

use super::wording::Wording;
use crate::core::compression::Coding;
use crate::http::cached_response::Finished;
use crate::notify::Language;

/// A year, in which browsers do not even ask (RFC 8246).
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const SCRIPT: &str = "text/javascript; charset=utf-8";
/// Hexadecimal digits of the hash.
const DIGITS: usize = 16;

static ALL: LazyLock<Assets> = LazyLock::new(Assets::read);

/// All of them.
pub struct Assets {
    version: String,
    files: Vec<Asset>,
}

struct Asset {
    name: Cow<'static, str>,
    media_type: &'static str,
    bytes: Bytes,
    /// In the order of [`Coding::ALL`], each made once; `None` inside where it is no smaller.
    forms: [OnceLock<Option<Bytes>>; 3],
}

impl Asset {
    fn new(name: impl Into<Cow<'static, str>>, media_type: &'static str, bytes: Bytes) -> Self {
        Self {
            name: name.into(),
            media_type,
            bytes,
            forms: Default::default(),
        }
    }

    fn form(&self, coding: Coding) -> Option<&Bytes> {
        let at = Coding::ALL.iter().position(|known| *known == coding)?;
        let make = || {
            let made = coding.compress_once(&self.bytes).ok()?;
            (made.len() < self.bytes.len()).then(|| Bytes::from(made))
        };
        self.forms[at].get_or_init(make).as_ref()
    }
}

impl Assets {
    fn read() -> Self {
        let text = |name: &'static str, media_type, text: &'static str| {
            Asset::new(name, media_type, Bytes::from_static(text.as_bytes()))
        };
        let script = |name, source| text(name, SCRIPT, source);
        let mut files = vec![
            text(
                "style.css",
                "text/css; charset=utf-8",
                include_str!("assets/style.css"),
            ),
            script("early.js", include_str!("assets/early.js")),
            script("main.js", include_str!("assets/main.js")),
            script("account.js", include_str!("assets/account.js")),
            script("api.js", include_str!("assets/api.js")),
            script("dom.js", include_str!("assets/dom.js")),
            script("forms.js", include_str!("assets/forms.js")),
            script("admin.js", include_str!("assets/admin.js")),
            script("people.js", include_str!("assets/people.js")),
            script("presence.js", include_str!("assets/presence.js")),
            script("me.js", include_str!("assets/me.js")),
            script("post.js", include_str!("assets/post.js")),
            script("words.js", include_str!("assets/words.js")),
            script("write.js", include_str!("assets/write.js")),
            text("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
        ];
        files.extend(Language::ALL.iter().map(|language| {
            let texts = serde_json::to_string(Wording::of(*language).texts());
            let source = format!("export default {};\n", texts.unwrap_or_default());
            Asset::new(
                format!("words-{}.js", language.tag()),
                SCRIPT,
                source.into(),
            )
        }));
        let mut hash = Sha256::new();
        for file in &files {
            for part in [file.name.as_bytes(), &file.bytes] {
                hash.update(part.len().to_be_bytes());
                hash.update(part);
            }
        }
        let mut version = format!("{:x}", hash.finalize());
        version.truncate(DIGITS);
        Self { version, files }
    }

    /// The path of one.
    pub fn path(name: &str) -> String {
        format!("/assets/{}/{name}", ALL.version)
    }

    /// The response with one, in the form that the client weighs highest; `None` where there is none of
    /// that name.
    pub fn respond(version: &str, name: &str, headers: &HeaderMap) -> Option<HttpResponse> {
        let asset = ALL.files.iter().find(|asset| asset.name == name)?;
        let mut response = HttpResponseBuilder::new(StatusCode::OK);
        let cache_control = if version == ALL.version {
            FOR_EVER
        } else {
            "no-store"
        };
        response
            .insert_header((header::CONTENT_TYPE, asset.media_type))
            .insert_header((header::CACHE_CONTROL, cache_control))
            .insert_header((header::VARY, HeaderValue::from_static("Accept-Encoding")));
        let form =
            Coding::negotiate(headers).and_then(|coding| Some((coding, asset.form(coding)?)));
        let bytes = match form {
            Some((coding, bytes)) => {
                response.insert_header((header::CONTENT_ENCODING, coding.name()));
                bytes
            }
            None => &asset.bytes,
        };
        let mut response = response.body(bytes.clone());
        response.extensions_mut().insert(Finished);
        Some(response)
    }
}
