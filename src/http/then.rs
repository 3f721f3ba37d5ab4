//! Extractors one after the other.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

/// First `A`, and only when that succeeded `B`. Extractors that stand beside each
/// other run at the same time, and the first refusal wins; where `A` is who calls
/// and `B` the body, `A`'s must.
pub struct Then<A, B>(pub A, pub B);

impl<A, B> FromRequest for Then<A, B>
where
    A: FromRequest + 'static,
    B: FromRequest + 'static,
{
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, mut payload) = (req.clone(), payload.take());
        Box::pin(async move {
            let a = A::from_request(&req, &mut payload)
                .await
                .map_err(Into::into)?;
            let b = B::from_request(&req, &mut payload)
                .await
                .map_err(Into::into)?;
            Ok(Self(a, b))
        })
    }
}
