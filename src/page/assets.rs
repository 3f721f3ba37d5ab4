//! What documents load: style sheets, modules, a picture, and the viewer of the API's description, embedded in the program. Their addresses have
//! a hash of all of them, so browsers keep them for ever; a document of another version of the
//! program, while an installation is renewed, gets those that are here and keeps nothing.

use std::borrow::Cow;
use std::io::Read;
use std::sync::{LazyLock, OnceLock};

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use super::wording::Wording;
use crate::core::compression::Coding;
use crate::http::cached_response::Finished;
use crate::notify::Language;

/// A year, in which browsers do not even ask (RFC 8246).
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
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
    source: Source,
}

/// As what it is embedded.
enum Source {
    Plain {
        bytes: Bytes,
        /// In the order of [`Coding::ALL`], each made once; `None` inside where it is no smaller.
        forms: [OnceLock<Option<Bytes>>; 3],
    },
    /// Compressed already, and too large to be made plain for nobody.
    Gzip {
        bytes: Bytes,
        plain: OnceLock<Bytes>,
    },
}

impl Asset {
    fn new(name: impl Into<Cow<'static, str>>, media_type: &'static str, bytes: Bytes) -> Self {
        let forms = Default::default();
        Self {
            name: name.into(),
            media_type,
            source: Source::Plain { bytes, forms },
        }
    }

    fn gzip(name: &'static str, media_type: &'static str, bytes: &'static [u8]) -> Self {
        let (bytes, plain) = (Bytes::from_static(bytes), OnceLock::new());
        Self {
            name: name.into(),
            media_type,
            source: Source::Gzip { bytes, plain },
        }
    }

    /// As it is embedded.
    fn embedded(&self) -> &Bytes {
        match &self.source {
            Source::Plain { bytes, .. } | Source::Gzip { bytes, .. } => bytes,
        }
    }

    /// In the form that the client weighs highest, of those that are there.
    fn form(&self, headers: &HeaderMap) -> (Option<Coding>, &Bytes) {
        match &self.source {
            Source::Plain { bytes, forms } => {
                let coding = Coding::negotiate(headers);
                let form =
                    coding.and_then(|coding| Some((coding, compressed(bytes, forms, coding)?)));
                form.map_or((None, bytes), |(coding, form)| (Some(coding), form))
            }
            Source::Gzip { bytes, plain } => {
                match Coding::negotiate_among(headers, &[Coding::Gzip]) {
                    Some(coding) => (Some(coding), bytes),
                    None => (None, plain.get_or_init(|| inflated(bytes))),
                }
            }
        }
    }
}

fn compressed<'a>(
    bytes: &Bytes,
    forms: &'a [OnceLock<Option<Bytes>>; 3],
    coding: Coding,
) -> Option<&'a Bytes> {
    let at = Coding::ALL.iter().position(|known| *known == coding)?;
    let make = || {
        let made = coding.compress_once(bytes).ok()?;
        (made.len() < bytes.len()).then(|| Bytes::from(made))
    };
    forms[at].get_or_init(make).as_ref()
}

/// What was compressed when the program was built; a test sees that it can be read.
fn inflated(bytes: &Bytes) -> Bytes {
    let mut plain = Vec::new();
    match GzDecoder::new(&bytes[..]).read_to_end(&mut plain) {
        Ok(_) => plain.into(),
        Err(_) => Bytes::new(),
    }
}

impl Assets {
    fn read() -> Self {
        let text = |name: &'static str, media_type, text: &'static str| {
            Asset::new(name, media_type, Bytes::from_static(text.as_bytes()))
        };
        let script = |name, source| text(name, SCRIPT, source);
        let mut files = vec![
            text("style.css", STYLE, include_str!("assets/style.css")),
            text("docs.css", STYLE, include_str!("assets/docs.css")),
            Asset::gzip(
                "swagger-ui.css",
                STYLE,
                include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css.gz")),
            ),
            Asset::gzip(
                "swagger-ui.js",
                SCRIPT,
                include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js.gz")),
            ),
            script("early.js", include_str!("assets/early.js")),
            script("main.js", include_str!("assets/main.js")),
            script("account.js", include_str!("assets/account.js")),
            script("author.js", include_str!("assets/author.js")),
            script("api.js", include_str!("assets/api.js")),
            script("comments.js", include_str!("assets/comments.js")),
            script("docs.js", include_str!("assets/docs.js")),
            script("dom.js", include_str!("assets/dom.js")),
            script("following.js", include_str!("assets/following.js")),
            script("forms.js", include_str!("assets/forms.js")),
            script("admin.js", include_str!("assets/admin.js")),
            script("later.js", include_str!("assets/later.js")),
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
            for part in [file.name.as_bytes(), file.embedded()] {
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
        let (coding, bytes) = asset.form(headers);
        if let Some(coding) = coding {
            response.insert_header((header::CONTENT_ENCODING, coding.name()));
        }
        let mut response = response.body(bytes.clone());
        response.extensions_mut().insert(Finished);
        Some(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_viewer_that_is_embedded_is_whole() {
        for (name, least, part) in [
            ("swagger-ui.js", 1_000_000, "SwaggerUIBundle"),
            ("swagger-ui.css", 100_000, ".swagger-ui"),
        ] {
            let asset = ALL.files.iter().find(|asset| asset.name == name).unwrap();
            // The reader compares length and sum.
            let (coding, plain) = asset.form(&HeaderMap::new());
            assert!(coding.is_none() && plain.len() > least, "{name}");
            assert!(String::from_utf8_lossy(plain).contains(part), "{name}");
            assert!(asset.embedded().len() < plain.len() / 3, "{name}");
        }
    }
}
