//! A panic while a request is handled ends that request and nothing else.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use pingora_core::{Error, ErrorType, Result};

/// The future panicked. What it said is left to the panic hook: it may hold parts of the request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Caught;

/// `handling`, or that it panicked. What it had borrowed is as it was at that moment, so the caller gives the
/// request up.
pub(crate) async fn caught<T>(handling: impl Future<Output = T>) -> std::result::Result<T, Caught> {
    AssertUnwindSafe(handling).catch_unwind().await.map_err(|_| Caught)
}

/// What `step` of Pingora's order of events gives, or an error that ends its request. Pingora itself would drop
/// the connection, and the client would have nothing.
pub(crate) fn guarded<T>(step: impl FnOnce() -> Result<T>, call: &str) -> Result<T> {
    std::panic::catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|_| ended(call))
}

/// The same of a step that waits.
pub(crate) async fn guarded_step<T>(
    step: impl Future<Output = Result<T>>,
    call: String,
) -> Result<T> {
    caught(step).await.unwrap_or_else(|Caught| ended(&call))
}

fn ended<T>(call: &str) -> Result<T> {
    log::error!("a request ended in a panic; call={call}");
    Err(Error::new_in(ErrorType::InternalError))
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

    #[tokio::test]
    async fn a_panic_in_a_later_step_is_an_error_of_ours() {
        assert_eq!(guarded(|| Ok(1), "create").unwrap(), 1);
        let error = guarded::<()>(|| panic!("of which nobody may learn"), "create").unwrap_err();
        assert_eq!(error.etype(), &ErrorType::InternalError);
        let waiting = async { panic!("of which nobody may learn") };
        let error = guarded_step::<()>(waiting, "create".to_owned()).await.unwrap_err();
        assert_eq!(error.etype(), &ErrorType::InternalError);
    }
}
