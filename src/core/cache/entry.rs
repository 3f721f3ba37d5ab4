//! A cached response, with its compressed forms (content codings).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use actix_web::http::header::HeaderValue;
use actix_web::web::Bytes;
use tokio::sync::OnceCell;

use super::invalidation::CacheTag;
use super::{Moment, packing};
use crate::core::compression::{self, COMPRESS_INLINE, Coding};
use crate::core::costly;
use crate::core::gather::Refused;

/// What an entry costs beside its bytes: itself, the cache's records of it and its
/// key, the small allocations. Measured as 576, and rounded up.
pub const OVERHEAD: usize = 640;
/// What its compressed forms cost beside their bytes, from the first on.
pub const FORMS_OVERHEAD: usize = 1024;

/// How often a packed body is asked for until it is kept plain.
const OFTEN: u8 = 4;

/// The parts of a finished response.
pub struct Parts {
    pub body: Vec<u8>,
    /// Strong, of the plain form, with its quotes.
    pub etag: HeaderValue,
    pub content_type: &'static str,
    pub cache_control: &'static str,
    pub link: Option<HeaderValue>,
}

/// What a filling found, and what that depends on.
pub enum Filled {
    Found { parts: Parts, tags: Vec<CacheTag> },
    Absent { tags: Vec<CacheTag> },
}

/// A finished response. Nothing of it changes but for its compressed forms, each of
/// which is made when it is first asked for.
pub struct Entry {
    body: Body,
    etag: HeaderValue,
    content_type: &'static str,
    cache_control: &'static str,
    link: Option<Box<HeaderValue>>,
    varies: bool,
    /// Whether it may have compressed forms.
    gains: bool,
    /// In the order of [`Coding::ALL`]; there from the first request for one.
    forms: OnceLock<Box<[Form; 3]>>,
    tags: Box<[CacheTag]>,
    /// When the reading began.
    pub(super) read: Moment,
}

/// A body, in one piece of memory with the ETag: each piece costs its record beside its bytes.
enum Body {
    Plain(Bytes),
    Packed {
        bytes: Bytes,
        /// Of the plain body.
        length: usize,
        /// How often it was asked for, up to a bound.
        hits: AtomicU8,
    },
}

/// A compressed form of a body.
struct Form {
    etag: HeaderValue,
    /// Made once; `None` inside when it is no smaller than the body.
    bytes: OnceCell<Option<Bytes>>,
}

impl Entry {
    pub(super) fn new(parts: Parts, tags: Vec<CacheTag>, read: Moment) -> Self {
        // Responses with secrets stay plain: their compressed length would tell of them.
        let varies =
            compression::is_text_kind(parts.content_type) && parts.cache_control != "no-store";
        let gains = varies && compression::gains(parts.content_type, parts.body.len());
        let (body, etag) = joined(&parts.body, &parts.etag);
        Self {
            gains,
            forms: OnceLock::new(),
            body: Body::Plain(body),
            etag,
            content_type: parts.content_type,
            cache_control: parts.cache_control,
            link: parts.link.map(Box::new),
            varies,
            tags: tags.into(),
            read,
        }
    }

    pub(super) fn is_packed(&self) -> bool {
        matches!(self.body, Body::Packed { .. })
    }

    /// The same with its body packed; `None` where it is packed, or that gains nothing.
    pub(super) fn packed(&self) -> Option<Self> {
        let Body::Plain(body) = &self.body else {
            return None;
        };
        let (bytes, etag) = joined(&packing::pack(body)?, &self.etag);
        let length = body.len();
        let hits = AtomicU8::new(0);
        Some(self.with(
            Body::Packed {
                bytes,
                length,
                hits,
            },
            etag,
        ))
    }

    /// The same with its body as it is, if it is packed and was asked for often enough. Asking counts.
    pub(super) fn unpacked_if_often(&self) -> Option<Self> {
        let Body::Packed { hits, .. } = &self.body else {
            return None;
        };
        // One of those who ask at once unpacks it. What is counted meanwhile may begin anew.
        if hits.fetch_add(1, Ordering::Relaxed) != OFTEN - 1 {
            return None;
        }
        let (body, etag) = joined(&self.body(), &self.etag);
        Some(self.with(Body::Plain(body), etag))
    }

    /// The same without its compressed forms.
    fn with(&self, body: Body, etag: HeaderValue) -> Self {
        Self {
            body,
            etag,
            content_type: self.content_type,
            cache_control: self.cache_control,
            link: self.link.clone(),
            varies: self.varies,
            gains: self.gains,
            forms: OnceLock::new(),
            tags: self.tags.clone(),
            read: self.read,
        }
    }

    /// The plain form.
    pub fn body(&self) -> Bytes {
        match &self.body {
            Body::Plain(body) => body.clone(),
            Body::Packed { bytes, length, .. } => match packing::unpack(bytes, *length) {
                Ok(body) => body.into(),
                Err(error) => unreachable!("what was packed unpacks: {error}"),
            },
        }
    }

    /// That of the plain form.
    pub fn etag(&self) -> &HeaderValue {
        &self.etag
    }

    pub fn content_type(&self) -> HeaderValue {
        HeaderValue::from_static(self.content_type)
    }

    pub fn cache_control(&self) -> HeaderValue {
        HeaderValue::from_static(self.cache_control)
    }

    pub fn link(&self) -> Option<&HeaderValue> {
        self.link.as_deref()
    }

    /// Whether bodies of this kind are compressed for those who ask for it.
    pub fn varies(&self) -> bool {
        self.varies
    }

    /// The tags of what the response was made of.
    pub fn tags(&self) -> &[CacheTag] {
        &self.tags
    }

    /// The ETag of the form in `coding`; `None` when there is no such form, as far as
    /// is known before it is made.
    pub fn etag_in(&self, coding: Coding) -> Option<HeaderValue> {
        if !self.gains {
            return None;
        }
        let Some(forms) = self.forms.get() else {
            return Some(compression::etag_value_in(&self.etag, coding));
        };
        let form = &forms[place_of(coding)];
        match form.bytes.get() {
            Some(None) => None,
            _ => Some(form.etag.clone()),
        }
    }

    /// The form in `coding`, made by one of those who ask at once; large ones on the
    /// blocking pool. Says as well whether this call made it.
    pub(super) async fn make(&self, coding: Coding) -> (Option<Bytes>, bool) {
        let Some(form) = self.form(coding) else {
            return (None, false);
        };
        let mut is_maker = false;
        let bytes = form
            .bytes
            .get_or_try_init(|| {
                is_maker = true;
                compress(self.body(), coding)
            })
            .await;
        match bytes {
            Ok(bytes) => (bytes.clone(), is_maker),
            // This one gets the plain form; who comes next may make the other.
            Err(_) => (None, false),
        }
    }

    fn form(&self, coding: Coding) -> Option<&Form> {
        let make = || {
            Box::new(Coding::ALL.map(|coding| Form {
                etag: compression::etag_value_in(&self.etag, coding),
                bytes: OnceCell::new(),
            }))
        };
        (self.gains).then(|| &self.forms.get_or_init(make)[place_of(coding)])
    }

    /// Bytes of memory, its forms as far as they are made included.
    pub fn weight(&self) -> usize {
        let forms = self.forms.get().map_or(0, |forms| {
            let made = (forms.iter()).filter_map(|form| form.bytes.get()?.as_ref());
            FORMS_OVERHEAD + made.map(Bytes::len).sum::<usize>()
        });
        let body = match &self.body {
            Body::Plain(bytes) | Body::Packed { bytes, .. } => bytes.len(),
        };
        OVERHEAD + body + forms + self.link().map_or(0, HeaderValue::len) + size_of_val(&*self.tags)
    }
}

/// A body and an ETag in one piece of memory, without what was reserved beyond the end of either.
fn joined(body: &[u8], etag: &HeaderValue) -> (Bytes, HeaderValue) {
    let all = Bytes::from([body, etag.as_bytes()].concat().into_boxed_slice());
    let joined = HeaderValue::from_maybe_shared(all.slice(body.len()..));
    // It was a value before, so it is one.
    let joined = joined.unwrap_or_else(|_| etag.clone());
    (all.slice(..body.len()), joined)
}

/// Where a coding stands in [`Coding::ALL`].
fn place_of(coding: Coding) -> usize {
    match coding {
        Coding::Brotli => 0,
        Coding::Zstd => 1,
        Coding::Gzip => 2,
    }
}

/// `None` when the compressed form is not smaller, or fails. An error when too much waits to be
/// compressed.
async fn compress(body: Bytes, coding: Coding) -> Result<Option<Bytes>, Refused> {
    let size = body.len();
    let compressed = if size < COMPRESS_INLINE {
        coding.compress_once(&body)
    } else {
        match costly::read(move || coding.compress_once(&body)).await {
            Ok(compressed) => compressed,
            Err(Refused::Busy) => return Err(Refused::Busy),
            Err(Refused::Panicked) => Err(std::io::Error::other(Refused::Panicked)),
        }
    };
    Ok(match compressed {
        Ok(bytes) => (bytes.len() < size).then(|| Bytes::from(bytes.into_boxed_slice())),
        // The plain form is as good an answer.
        Err(error) => {
            tracing::warn!(%error, "cannot compress an answer");
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::cache::invalidation::Invalidation;

    #[tokio::test(start_paused = true)]
    async fn a_form_that_found_no_place_to_be_made_is_made_later() {
        let parts = Parts {
            body: b"much of the same ".repeat(COMPRESS_INLINE / 8),
            etag: HeaderValue::from_static("\"e\""),
            content_type: "application/json",
            cache_control: "no-cache",
            link: None,
        };
        let moment = Moment {
            version: Invalidation::default().version(),
            at: Duration::ZERO,
            is_alone: true,
            pauses: 0,
            is_of_replica: false,
        };
        let entry = Entry::new(parts, Vec::new(), moment);
        let taken = costly::take_places_of_readers().await;
        assert_eq!(entry.make(Coding::Gzip).await, (None, false));
        drop(taken);
        let (form, is_new) = entry.make(Coding::Gzip).await;
        assert!(is_new && form.is_some());
    }
}
