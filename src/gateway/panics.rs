//! A panic while a request is handled ends that request and nothing else.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;

/// The future panicked. What it said is left to the panic hook: it may hold parts of the request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Caught;

/// `handling`, or that it panicked. What it had borrowed is as it was at that moment, so the caller gives the
/// request up.
pub(crate) async fn caught<T>(handling: impl Future<Output = T>) -> Result<T, Caught> {
    AssertUnwindSafe(handling).catch_unwind().await.map_err(|_| Caught)
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
}
