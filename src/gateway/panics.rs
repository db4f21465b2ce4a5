//! A panic while a request is handled ends that request and nothing else: whichever of Pingora's calls it
//! happens in, the request is given up, and a client that has nothing yet is told so in BBB's form.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use pingora_core::{Error, ErrorType, Result};

use crate::bbb::fault::Fault;
use crate::gateway::exchange::Exchange;

/// The future panicked. What it said is left to the panic hook: it may hold parts of the request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Caught;

/// `handling`, or that it panicked. What it had borrowed is as it was at that moment, so the caller gives the
/// request up.
///
/// No `async fn`: that would hold `handling` twice, and it is moved with every request.
pub(crate) fn caught<T>(
    handling: impl Future<Output = T>,
) -> impl Future<Output = std::result::Result<T, Caught>> {
    AssertUnwindSafe(handling).catch_unwind().map(|ended| ended.map_err(|_| Caught))
}

/// The same of what does not wait.
pub(crate) fn caught_now<T>(handling: impl FnOnce() -> T) -> std::result::Result<T, Caught> {
    std::panic::catch_unwind(AssertUnwindSafe(handling)).map_err(|_| Caught)
}

/// What Pingora is told of a call of its own: its outcome, or that the request is given up. A request with a
/// fault is never sent again, so that a panic is not met a second time.
pub(crate) fn outcome<T>(
    handled: std::result::Result<Result<T>, Caught>,
    exchange: &mut Exchange,
) -> Result<T> {
    handled.unwrap_or_else(|Caught| {
        log::error!("a request ended in a panic; call={}", exchange.label);
        exchange.fault = Some(Fault::internal());
        Error::e_explain(ErrorType::InternalError, "a panic")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_like_any_other() {
        assert_eq!(caught(async { 1 }).await, Ok(1));
        let panicking = async {
            tokio::task::yield_now().await;
            panic!("of which nobody may learn")
        };
        assert_eq!(caught::<()>(panicking).await, Err(Caught));
    }

    #[test]
    fn the_request_is_given_up_and_its_client_told() {
        let mut exchange = Exchange::default();
        assert_eq!(outcome(Ok(Ok(1)), &mut exchange).unwrap(), 1);
        assert_eq!(exchange.fault, None);
        let panicked = caught_now(|| -> Result<()> { panic!("of which nobody may learn") });
        assert!(outcome(panicked, &mut exchange).is_err());
        assert_eq!(exchange.fault, Some(Fault::internal()));
    }
}
