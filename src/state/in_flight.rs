//! Counts what a stop waits for. Anything that must not be cut off holds a [`Guard`]: requests, and work that
//! goes on after its request was answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How often a stop looks again. It asks instead of being told, so that a request costs no more than a counter.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The number of things that are being done. Clones count the same.
#[derive(Debug, Clone, Default)]
pub struct InFlight(Arc<AtomicUsize>);

/// One thing that is being done, until it is dropped.
#[derive(Debug)]
pub struct Guard(InFlight);

impl InFlight {
    /// Something begins.
    pub fn begin(&self) -> Guard {
        self.0.fetch_add(1, Ordering::Relaxed);
        Guard(self.clone())
    }

    /// How many are being done now.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Resolves when nothing is being done. Looks twice: a request that another thread has just read is
    /// counted a moment later.
    pub async fn none(&self) {
        let mut quiet = 0;
        while quiet < 2 {
            tokio::time::sleep(LOOK_EVERY).await;
            quiet = if self.count() == 0 { quiet + 1 } else { 0 };
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_the_last() {
        let in_flight = InFlight::default();
        let (first, second) = (in_flight.begin(), in_flight.begin());
        drop(first);
        assert_eq!(in_flight.count(), 1);
        let wait = Duration::from_secs(60);
        assert!(tokio::time::timeout(wait, in_flight.none()).await.is_err());
        drop(second);
        assert!(tokio::time::timeout(wait, in_flight.none()).await.is_ok());
    }
}
