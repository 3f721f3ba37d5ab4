//! The promises of the cache, one by one, and what their tests share.

// Results, as fillings and answers are.
#![allow(clippy::unnecessary_wraps)]

mod memory;
mod single_flight;
mod threads;
mod validity;

use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use actix_web::http::header::HeaderValue;
use chrono::DateTime;
use tokio::sync::oneshot;

use super::entry::Parts;
use super::*;

/// Why a filling failed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Failure(&'static str);

const BOUND: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);

fn clock() -> Clock {
    Clock::by_hand(DateTime::UNIX_EPOCH)
}

fn cache() -> Cache<u32, Failure> {
    Cache::new(BOUND, None, clock())
}

fn post() -> CacheTag {
    CacheTag::of(&"post")
}

fn parts(body: impl Into<Vec<u8>>) -> Parts {
    Parts {
        body: body.into(),
        etag: HeaderValue::from_static("\"e\""),
        content_type: "application/json",
        cache_control: "no-cache",
        link: None,
    }
}

fn found(body: impl Into<Vec<u8>>) -> Result<Filled, Failure> {
    Ok(Filled::Found {
        parts: parts(body),
        tags: vec![post()],
    })
}

fn absent() -> Result<Filled, Failure> {
    Ok(Filled::Absent { tags: vec![post()] })
}

/// The body under key 1, by `fill` when it must be.
async fn body(
    cache: &Cache<u32, Failure>,
    fill: impl AsyncFn() -> Result<Filled, Failure>,
) -> Result<Option<Bytes>, Failure> {
    let entry = cache.find_or_fill(&1, fill).await;
    entry.map(|entry| entry.map(|entry| entry.body()))
}

fn some(body: &'static str) -> Result<Option<Bytes>, Failure> {
    Ok(Some(Bytes::from_static(body.as_bytes())))
}

/// Polls once, and says whether it waits.
async fn waits<T>(mut future: Pin<&mut impl Future<Output = T>>) -> bool {
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

/// A reading that ends when it is told what it read.
fn slow() -> (
    oneshot::Sender<Result<Filled, Failure>>,
    impl AsyncFn() -> Result<Filled, Failure>,
) {
    let (tell, told) = oneshot::channel();
    let told = Rc::new(Cell::new(Some(told)));
    let read = async move || told.take().expect("one reading").await.expect("told");
    (tell, read)
}

async fn never() -> Result<Filled, Failure> {
    panic!("this must not be read")
}
