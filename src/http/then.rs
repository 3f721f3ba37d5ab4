//! Extractors one after the other.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

/// First `A`, and only when that succeeded `B`. Extractors that stand beside each
/// other run at the same time, and the first refusal wins; where `A` is who calls
/// and `B` the body, `A`'s must.
pub struct Then<A, B>(pub A, pub B);

impl<A, B> FromRequest for Then<A, B>
where
    A: FromRequest<Future: Unpin> + Unpin + 'static,
    B: FromRequest<Future: Unpin> + Unpin + 'static,
{
    type Error = actix_web::Error;
    type Future = InTurn<A, B>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let mut payload = payload.take();
        InTurn {
            stage: Stage::First(A::from_request(req, &mut payload)),
            req: req.clone(),
            payload,
        }
    }
}

/// Extracts `A`, then `B`.
pub struct InTurn<A: FromRequest, B: FromRequest> {
    stage: Stage<A, B>,
    req: HttpRequest,
    payload: Payload,
}

enum Stage<A: FromRequest, B: FromRequest> {
    First(A::Future),
    /// `None` only after the end.
    Second(Option<A>, B::Future),
}

impl<A, B> Future for InTurn<A, B>
where
    A: FromRequest<Future: Unpin> + Unpin,
    B: FromRequest<Future: Unpin> + Unpin,
{
    type Output = Result<Then<A, B>, actix_web::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            match &mut this.stage {
                Stage::First(first) => {
                    let a = ready!(Pin::new(first).poll(context)).map_err(Into::into)?;
                    let second = B::from_request(&this.req, &mut this.payload);
                    this.stage = Stage::Second(Some(a), second);
                }
                Stage::Second(a, second) => {
                    let b = ready!(Pin::new(second).poll(context)).map_err(Into::into)?;
                    // A future that has ended is not asked again.
                    let Some(a) = a.take() else {
                        return Poll::Pending;
                    };
                    return Poll::Ready(Ok(Then(a, b)));
                }
            }
        }
    }
}
