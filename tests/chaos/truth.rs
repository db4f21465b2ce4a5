//! What is known to be true, independently of tinyscale: which server made which meeting, which servers lost
//! theirs, and when anything was being disturbed.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// After a disturbance is over it excuses for this long: servers have to be seen again first.
pub(crate) const GRACE: Duration = Duration::from_secs(6);

/// Disturbances of one server, or of tinyscale.
#[derive(Default)]
pub(crate) struct Disturbed {
    inner: Mutex<Times>,
}

#[derive(Default)]
struct Times {
    under_way: u32,
    until: Option<Instant>,
    /// How often everything was lost.
    lives: u64,
}

impl Disturbed {
    pub(crate) fn begin(&self) {
        self.inner.lock().under_way += 1;
    }

    pub(crate) fn end(&self) {
        let mut times = self.inner.lock();
        times.under_way -= 1;
        times.until = Some(Instant::now());
    }

    /// All meetings there are gone from now on.
    pub(crate) fn lose_all(&self) {
        self.inner.lock().lives += 1;
    }

    pub(crate) fn lives(&self) -> u64 {
        self.inner.lock().lives
    }

    /// Whether anything that began at `from` and is over now may have been hit.
    pub(crate) fn since(&self, from: Instant) -> bool {
        let times = self.inner.lock();
        times.under_way > 0 || times.until.is_some_and(|until| until + GRACE > from)
    }

    pub(crate) fn is_under_way(&self) -> bool {
        self.inner.lock().under_way > 0
    }
}

/// A meeting that was made for certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Living {
    pub(crate) server: usize,
    /// How often that server had lost everything when it made it.
    pub(crate) life: u64,
    pub(crate) internal: String,
    pub(crate) create_time: String,
}
