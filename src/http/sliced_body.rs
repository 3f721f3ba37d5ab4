//! Large bodies are handed to the connection slice by slice.
//!
//! The HTTP layer copies what a body gives into the connection's write buffer, and asks for
//! more only when there is room. A body that gives all of its bytes at once is copied whole
//! for every client that reads slowly; one that gives slices costs each of them a slice, and
//! the bytes themselves are shared.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;

/// Bytes of a slice.
const SLICE: usize = 32 * 1024;

/// Has a body of more than a slice be given in slices.
pub fn slice(response: &mut HttpResponse) {
    let is_large = match response.body().size() {
        BodySize::Sized(size) => usize::try_from(size).is_ok_and(|size| size > SLICE),
        BodySize::None | BodySize::Stream => false,
    };
    if !is_large {
        return;
    }
    let taken = std::mem::replace(response, HttpResponse::new(response.status()));
    *response = taken.map_body(|_, body| match body.try_into_bytes() {
        Ok(rest) => BoxBody::new(Sliced { rest }),
        Err(body) => body,
    });
}

/// What is left of a body.
struct Sliced {
    rest: Bytes,
}

/// It is not [`MessageBody::try_into_bytes`]: what can be taken whole would be.
impl MessageBody for Sliced {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.rest.len() as u64)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let length = self.rest.len().min(SLICE);
        let slice = self.rest.split_to(length);
        Poll::Ready((length > 0).then_some(Ok(slice)))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[actix_web::test]
    async fn a_large_body_comes_in_slices_and_whole() {
        for size in [0, 1, SLICE, SLICE + 1, 3 * SLICE, 1_000_003] {
            let bytes: Vec<u8> = (0_u8..=250).cycle().take(size).collect();
            let mut response = HttpResponse::Ok().body(bytes.clone());
            slice(&mut response);
            let mut body = response.into_body();
            assert_eq!(body.size(), BodySize::Sized(size as u64));
            let (mut read, mut largest) = (Vec::new(), 0);
            while let Some(next) = poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await {
                let next = next.unwrap();
                largest = largest.max(next.len());
                read.extend_from_slice(&next);
            }
            assert!(largest <= SLICE, "{size}: {largest}");
            assert!(read == bytes, "{size} bytes");
        }
    }
}
