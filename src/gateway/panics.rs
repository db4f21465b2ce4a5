//! A panic while a request is handled ends that request and nothing else.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;

/// The future panicked. What it said is left to the panic hook: it may hold parts of the request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Caught;

/// `handling`, or that it panicked. What it had borrowed is as it was at that moment, so the caller gives the
/// request up.
///
/// No `async fn`: that would hold `handling` twice, and it is moved with every request.
pub(crate) fn caught<T>(
    handling: impl Future<Output = T>,
) -> impl Future<Output = Result<T, Caught>> {
    AssertUnwindSafe(handling).catch_unwind().map(|ended| ended.map_err(|_| Caught))
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
