//! The only place that asks what time it is.

use std::time::Instant;

use crate::cluster::moment::Moment;

/// A clock that starts at 0 when it is made and never goes back.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// Starts one.
    #[expect(clippy::disallowed_methods, reason = "this is the place that may")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Now, on this clock.
    pub fn now(&self) -> Moment {
        Moment(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// Seconds since 1970, for what other machines date: tokens and files.
#[expect(clippy::disallowed_methods, reason = "this is the place that may")]
pub fn unix_s() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Microseconds on the machine's clock that never goes back, as service managers compare them.
pub fn monotonic_us() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    seconds * 1_000_000 + u64::try_from(now.tv_nsec).unwrap_or_default() / 1000
}
