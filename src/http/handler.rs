//! Handlers: plain functions whose arguments are read from the request one after the
//! other, left to right.
//!
//! The order is the order of the checks: an argument that refuses ends the request, and
//! those to its right are not read. So a route that takes `(Caller, Body<T>)` refuses a bad
//! token before it reads a body, and one that takes `(RateLimited<…>, Body<T>)` refuses who
//! tries too often before that. The arguments describe the operation as well
//! ([`Extract::describe`]), so what a route takes is said once.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::rc::Rc;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse};

use super::endpoint::Operation;
use crate::error::Error;

/// What an answer is waited for as.
pub type Answering = Pin<Box<dyn Future<Output = Result<HttpResponse, Error>>>>;

/// A handler whose type is forgotten, so that the router is compiled once and not for
/// every handler.
pub type AnyHandler = Rc<dyn Fn(HttpRequest, Payload) -> Answering>;

/// An argument of a handler: read from the request, or a refusal.
pub trait Extract: Sized + 'static {
    /// Reads the argument.
    fn extract(
        request: &HttpRequest,
        payload: &mut Payload,
    ) -> impl Future<Output = Result<Self, Error>>;

    /// Adds to the description of an operation what taking this argument means: its
    /// parameter or body, and the codes that it refuses with.
    fn describe(operation: Operation) -> Operation {
        operation
    }
}

/// Parts of the server, which are put into the application's data at the start.
impl<T: 'static> Extract for Data<T> {
    fn extract(
        request: &HttpRequest,
        _: &mut Payload,
    ) -> impl Future<Output = Result<Self, Error>> {
        ready(part(request).cloned())
    }
}

impl Extract for HttpRequest {
    fn extract(
        request: &HttpRequest,
        _: &mut Payload,
    ) -> impl Future<Output = Result<Self, Error>> {
        ready(Ok(request.clone()))
    }
}

/// A part of the server.
pub fn part<T: 'static>(request: &HttpRequest) -> Result<&Data<T>, Error> {
    request.app_data::<Data<T>>().ok_or_else(|| {
        let name = std::any::type_name::<T>();
        Error::internal(format!("the application has no {name}"))
    })
}

/// A function that answers requests; `Args` is the tuple of its arguments.
pub trait Handler<Args>: Copy + 'static {
    /// Reads the arguments from left to right and calls the function.
    fn handle(self, request: HttpRequest, payload: Payload) -> Answering;

    /// Has every argument add to the description.
    fn describe(operation: Operation) -> Operation;
}

/// Forgets the type of a handler.
pub fn erase<Args>(handler: impl Handler<Args>) -> AnyHandler {
    Rc::new(move |request, payload| handler.handle(request, payload))
}

macro_rules! implement_handler {
    ($($argument:ident)*) => {
        impl<F, Answer, $($argument),*> Handler<($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Answer + Copy + 'static,
            Answer: Future<Output = Result<HttpResponse, Error>> + 'static,
            $($argument: Extract,)*
        {
            #[allow(non_snake_case, unused_mut, unused_variables)]
            fn handle(self, request: HttpRequest, mut payload: Payload) -> Answering {
                Box::pin(async move {
                    $(let $argument = $argument::extract(&request, &mut payload).await?;)*
                    self($($argument),*).await
                })
            }

            fn describe(operation: Operation) -> Operation {
                $(let operation = $argument::describe(operation);)*
                operation
            }
        }
    };
}

implement_handler!();
implement_handler!(A);
implement_handler!(A B);
implement_handler!(A B C);
implement_handler!(A B C D);
implement_handler!(A B C D E);
implement_handler!(A B C D E G);
implement_handler!(A B C D E G H);
implement_handler!(A B C D E G H I);

/// A request with its body, for the router to hand on whole.
pub(super) struct Whole(pub HttpRequest, pub Payload);

impl FromRequest for Whole {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        ready(Ok(Self(request.clone(), payload.take())))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use actix_web::test::TestRequest;

    use super::*;
    use crate::error::Code;

    thread_local! {
        static READ: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    }

    /// Yields a few times before it says that it was read.
    async fn read(name: &'static str, yields: usize) {
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        READ.with_borrow_mut(|all| all.push(name));
    }

    struct Slow;
    struct Refusing;
    struct Fast;

    impl Extract for Slow {
        async fn extract(_: &HttpRequest, _: &mut Payload) -> Result<Self, Error> {
            read("slow", 5).await;
            Ok(Self)
        }
    }

    impl Extract for Refusing {
        async fn extract(_: &HttpRequest, _: &mut Payload) -> Result<Self, Error> {
            read("refusing", 3).await;
            Err(Error::new(Code::InvalidToken))
        }
    }

    impl Extract for Fast {
        async fn extract(_: &HttpRequest, _: &mut Payload) -> Result<Self, Error> {
            read("fast", 0).await;
            Err(Error::new(Code::MalformedJson))
        }
    }

    #[actix_web::test]
    async fn arguments_are_read_from_left_to_right_until_one_refuses() {
        async fn three(_: Slow, _: Refusing, _: Fast) -> Result<HttpResponse, Error> {
            Ok(HttpResponse::Ok().finish())
        }
        for _ in 0..1000 {
            READ.take();
            let request = TestRequest::default().to_http_request();
            let refused = erase(three)(request, Payload::None).await.unwrap_err();
            assert_eq!(refused.code, Code::InvalidToken);
            assert_eq!(READ.take(), ["slow", "refusing"]);
        }
    }

    #[actix_web::test]
    async fn a_part_that_the_server_lacks_is_a_fault() {
        async fn one(_: Data<u8>) -> Result<HttpResponse, Error> {
            Ok(HttpResponse::Ok().finish())
        }
        let without = TestRequest::default().to_http_request();
        let refused = erase(one)(without, Payload::None).await.unwrap_err();
        assert_eq!(refused.code, Code::Internal);
        let with = TestRequest::default().app_data(Data::new(7_u8));
        let answered = erase(one)(with.to_http_request(), Payload::None).await;
        assert!(answered.is_ok());
    }
}
