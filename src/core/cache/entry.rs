//! A cached response, with its compressed forms (content codings).

use std::sync::OnceLock;

use actix_web::http::header::HeaderValue;
use actix_web::web::Bytes;
use tokio::sync::OnceCell;

use super::Moment;
use super::invalidation::CacheTag;
use crate::core::compression::{self, COMPRESS_INLINE, Coding};
use crate::core::costly;
use crate::core::gather::Refused;

/// What an entry costs beside its bytes: itself, the cache's records of it and its
/// key, the small allocations. Measured, and rounded up.
pub const OVERHEAD: usize = 2048;
/// What its compressed forms cost beside their bytes, from the first on.
pub const FORMS_OVERHEAD: usize = 1024;

/// The parts of a finished response.
pub struct Parts {
    pub body: Vec<u8>,
    /// Strong, of the plain form, with its quotes.
    pub etag: HeaderValue,
    pub content_type: HeaderValue,
    pub cache_control: HeaderValue,
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
    body: Bytes,
    etag: HeaderValue,
    content_type: HeaderValue,
    cache_control: HeaderValue,
    link: Option<HeaderValue>,
    varies: bool,
    /// Whether it may have compressed forms.
    gains: bool,
    /// In the order of [`Coding::ALL`]; there from the first request for one.
    forms: OnceLock<Box<[Form; 3]>>,
    tags: Box<[CacheTag]>,
    /// When the reading began.
    pub(super) read: Moment,
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
        let varies = compression::is_text_kind(&parts.content_type)
            && parts.cache_control.as_bytes() != b"no-store";
        let gains = varies && compression::gains(&parts.content_type, parts.body.len());
        Self {
            gains,
            forms: OnceLock::new(),
            // Without what was reserved beyond the end.
            body: Bytes::from(parts.body.into_boxed_slice()),
            etag: parts.etag,
            content_type: parts.content_type,
            cache_control: parts.cache_control,
            link: parts.link,
            varies,
            tags: tags.into(),
            read,
        }
    }

    /// The plain form.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// That of the plain form.
    pub fn etag(&self) -> &HeaderValue {
        &self.etag
    }

    pub fn content_type(&self) -> &HeaderValue {
        &self.content_type
    }

    pub fn cache_control(&self) -> &HeaderValue {
        &self.cache_control
    }

    pub fn link(&self) -> Option<&HeaderValue> {
        self.link.as_ref()
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
                compress(self.body.clone(), coding)
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
        OVERHEAD
            + self.body.len()
            + forms
            + self.link.as_ref().map_or(0, HeaderValue::len)
            + size_of_val(&*self.tags)
    }
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
            content_type: HeaderValue::from_static("application/json"),
            cache_control: HeaderValue::from_static("no-cache"),
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
