//! When to order: pure, with the time and chance as arguments. All times are seconds since 1970.

use std::time::Duration;

/// The longest wait after failures.
const RETRY_MAX: Duration = Duration::from_secs(6 * 60 * 60);

/// When the next order is due.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Schedule {
    first_retry: Duration,
    failures: u32,
    /// Not before; after a failure, or after an order that was just carried out.
    not_before_s: u64,
    /// What the server advised: from when to when.
    window: Option<(u64, u64)>,
    /// When to ask it next.
    asks_at_s: u64,
    chance: f64,
}

impl Schedule {
    /// `chance` is from 0 up to 1, here and below.
    pub(super) fn new(first_retry: Duration, chance: f64) -> Self {
        Self { first_retry, failures: 0, not_before_s: 0, window: None, asks_at_s: 0, chance }
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// How long to wait with an order, given when the certificate in use is valid, if there is one.
    pub(super) fn wait(&self, valid_s: Option<(u64, u64)>, now_s: u64) -> Duration {
        let due_s = valid_s.map_or(0, |valid_s| self.due_s(valid_s, now_s));
        Duration::from_secs(due_s.max(self.not_before_s).saturating_sub(now_s))
    }

    fn due_s(&self, (from_s, until_s): (u64, u64), now_s: u64) -> u64 {
        let life_s = until_s.saturating_sub(from_s);
        let part = |of_s: u64| (of_s as f64 * self.chance) as u64;
        match self.window {
            // It wants it back at once, mostly because it is about to be revoked.
            Some((_, end_s)) if end_s <= now_s => now_s,
            // Whatever is advised: not all the time, and not too late.
            Some((start_s, end_s)) => (start_s + part(end_s.saturating_sub(start_s))).clamp(
                from_s + life_s / 2,
                until_s.saturating_sub(life_s / 10).max(from_s + life_s / 2),
            ),
            // Two thirds of its life, and up to a twentieth less.
            None => from_s + life_s * 2 / 3 - part(life_s / 20).min(life_s * 2 / 3),
        }
    }

    /// When to ask the server for its advice, if at all: not while orders fail.
    pub(super) fn asks_at_s(&self) -> Option<u64> {
        (self.failures == 0).then_some(self.asks_at_s)
    }

    /// What the server advised, and when to ask again.
    pub(super) fn advised(&mut self, window: Option<(u64, u64)>, ask_at_s: u64, chance: f64) {
        if window != self.window {
            (self.window, self.chance) = (window, chance);
        }
        self.asks_at_s = ask_at_s;
    }

    pub(super) fn succeeded(&mut self, now_s: u64, chance: f64) {
        let first_retry = self.first_retry;
        *self =
            Self { not_before_s: now_s + first_retry.as_secs(), ..Self::new(first_retry, chance) };
    }

    /// How long to wait now; `until_s`: the end of the certificate in use.
    pub(super) fn failed(&mut self, until_s: Option<u64>, now_s: u64, chance: f64) -> Duration {
        let doubled = self.first_retry * 2_u32.saturating_pow(self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        // The nearer the end, the more often; but never more often than at first.
        let left = until_s.map(|until_s| Duration::from_secs(until_s.saturating_sub(now_s) / 4));
        let wait = doubled.min(RETRY_MAX).min(left.unwrap_or(RETRY_MAX)).max(self.first_retry);
        let wait = wait.mul_f64(1.0 + chance / 4.0);
        self.not_before_s = now_s + wait.as_secs().max(u64::from(wait.subsec_nanos() > 0));
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60;
    const MINUTE: Duration = Duration::from_secs(60);

    fn due(schedule: &Schedule, valid_s: (u64, u64), now_s: u64) -> u64 {
        now_s + schedule.wait(Some(valid_s), now_s).as_secs()
    }

    #[test]
    fn without_a_certificate_at_once() {
        assert_eq!(Schedule::new(MINUTE, 0.9).wait(None, 1000), Duration::ZERO);
    }

    #[test]
    fn at_two_thirds_of_the_lifetime_or_a_little_before() {
        let valid_s = (100 * DAY, 190 * DAY);
        assert_eq!(due(&Schedule::new(MINUTE, 0.0), valid_s, 100 * DAY), 160 * DAY);
        let late = due(&Schedule::new(MINUTE, 0.999), valid_s, 100 * DAY);
        assert!((155 * DAY..156 * DAY).contains(&late), "{late}");
        assert_eq!(Schedule::new(MINUTE, 0.0).wait(Some(valid_s), 170 * DAY), Duration::ZERO);
    }

    #[test]
    fn when_the_server_says_within_reason() {
        let valid_s = (100 * DAY, 190 * DAY);
        let mut schedule = Schedule::new(MINUTE, 0.0);
        schedule.advised(Some((150 * DAY, 152 * DAY)), 0, 0.5);
        assert_eq!(due(&schedule, valid_s, 100 * DAY), 151 * DAY);
        // The same advice again changes nothing.
        schedule.advised(Some((150 * DAY, 152 * DAY)), 0, 0.9);
        assert_eq!(due(&schedule, valid_s, 100 * DAY), 151 * DAY);
        // A window of days for a certificate of minutes must not mean an order every second.
        schedule.advised(Some((99 * DAY, 101 * DAY)), 0, 0.1);
        assert_eq!(due(&schedule, (100 * DAY, 100 * DAY + 600), 100 * DAY), 100 * DAY + 300);
        schedule.advised(Some((300 * DAY, 400 * DAY)), 0, 0.1);
        assert_eq!(due(&schedule, valid_s, 100 * DAY), 181 * DAY);
        // It is over: to be revoked.
        schedule.advised(Some((90 * DAY, 99 * DAY)), 0, 0.1);
        assert_eq!(due(&schedule, valid_s, 100 * DAY), 100 * DAY);
        schedule.succeeded(100 * DAY, 0.0);
        assert_eq!(
            due(&schedule, valid_s, 100 * DAY),
            160 * DAY,
            "the new one has advice of its own"
        );
    }

    #[test]
    fn failures_wait_longer_each_time_but_not_past_the_end() {
        let mut schedule = Schedule::new(MINUTE, 0.0);
        let waits =
            (0..12).map(|_| schedule.failed(None, 0, 0.0).as_secs() / 60).collect::<Vec<_>>();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360]);
        assert_eq!(schedule.wait(None, 0), RETRY_MAX);
        assert_eq!(schedule.failed(Some(3600), 0, 0.0), MINUTE * 15);
        assert_eq!(schedule.failed(Some(60), 0, 0.0), MINUTE);
        assert_eq!(schedule.failed(Some(10), 60, 0.0), MINUTE, "also when it is over");
        assert_eq!(schedule.failed(Some(10), 60, 1.0), MINUTE * 5 / 4);
        assert_eq!(schedule.asks_at_s(), None);
    }
}
