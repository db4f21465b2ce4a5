//! How much one client may ask for: requests and connections of an address, calls with a secret, and wrong
//! checksums, which are answered late. Whoever is exempt is never refused and never slowed down.
//!
//! Nobody can be locked out by others behind the same address: a right checksum is never slowed down, however
//! many wrong ones came before it.

pub mod buckets;
pub mod patience;

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::cluster::moment::Moment;
use crate::config::settings::traffic::AbuseSettings;
use crate::edge::guard::buckets::{Buckets, Rate};

/// Lines about one address: this many at once, then one each second. Enough for fail2ban to count.
const LINES_BURST_MAX: u32 = 20;
/// Lines about all addresses together in a second.
const LINES_PER_SECOND_MAX: u32 = 100;
/// Answers that are held back at the same time; more are given at once.
const HELD_BACK_MAX: u64 = 1_000;

/// Why a client is told off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A checksum was wrong.
    Checksum,
    /// Too many requests.
    Rate,
    /// Too many connections.
    Connections,
    /// A header that two programs could read in two ways.
    Malformed,
    /// A request that did not come to its end in time.
    Slow,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Checksum, Self::Rate, Self::Connections, Self::Malformed, Self::Slow];

    /// As logs and metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Checksum => "checksum",
            Self::Rate => "rate",
            Self::Connections => "connections",
            Self::Malformed => "malformed",
            Self::Slow => "slow",
        }
    }
}

/// Whom limits are counted for: an address, or the network that one customer of a provider has with IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Party(IpAddr);

impl Party {
    /// Whose address this is.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// Counts and refuses. One for the whole process: a reload changes its limits and forgets nothing.
#[derive(Debug)]
pub struct Guard {
    clock: Clock,
    settings: Mutex<Arc<AbuseSettings>>,
    requests: Mutex<Buckets<Party>>,
    secrets: Mutex<Buckets<u64>>,
    failures: Mutex<Buckets<Party>>,
    lines: Mutex<Buckets<Party>>,
    all_lines: Mutex<Buckets<()>>,
    connections: Mutex<HashMap<Party, u32>>,
    held_back: AtomicU64,
    counts: [AtomicU64; Reason::ALL.len()],
}

impl Default for Guard {
    fn default() -> Self {
        Self::new(AbuseSettings::default())
    }
}

impl Guard {
    /// With these limits.
    pub fn new(settings: AbuseSettings) -> Self {
        Self {
            clock: Clock::start(),
            settings: Mutex::new(Arc::new(settings)),
            requests: Mutex::default(),
            secrets: Mutex::default(),
            failures: Mutex::default(),
            lines: Mutex::default(),
            all_lines: Mutex::default(),
            connections: Mutex::default(),
            held_back: AtomicU64::new(0),
            counts: Default::default(),
        }
    }

    /// Other limits from now on.
    pub fn set(&self, settings: AbuseSettings) {
        *self.settings.lock() = Arc::new(settings);
    }

    /// The limits in force.
    pub fn settings(&self) -> Arc<AbuseSettings> {
        self.settings.lock().clone()
    }

    /// Now, on the clock that its calls are given the time of.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// How often there was this reason.
    pub fn count(&self, reason: Reason) -> u64 {
        self.counts.get(reason as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    fn is_exempt(settings: &AbuseSettings, address: IpAddr) -> bool {
        // A listener of both families shows IPv4 in the form of IPv6.
        let address = address.to_canonical();
        settings.exempt.iter().any(|network| network.contains(&address))
    }

    /// Whether `address` may send one more request.
    pub fn allows(&self, address: IpAddr, now: Moment) -> bool {
        let settings = self.settings();
        if Self::is_exempt(&settings, address) {
            return true;
        }
        let rate = Rate { burst: settings.burst, per_minute: u64::from(settings.requests) * 60 };
        self.requests.lock().take(Party::of(address), rate, now)
    }

    /// Whether one more call with the secrets of this tenant is allowed. Whose calls they are is what counts, so
    /// that being exempt does not help.
    pub fn allows_secret(&self, secret: u64, now: Moment) -> bool {
        let Some(calls) = self.settings().secret_requests else { return true };
        // Ten seconds' worth at once: front ends ask in waves.
        let rate = Rate { burst: calls.saturating_mul(10), per_minute: u64::from(calls) * 60 };
        self.secrets.lock().take(secret, rate, now)
    }

    /// `address` sent a wrong checksum. Whether its answer is to come late.
    pub fn failed(&self, address: IpAddr, now: Moment) -> bool {
        let settings = self.settings();
        if Self::is_exempt(&settings, address) {
            return false;
        }
        let rate = Rate { burst: settings.failures, per_minute: settings.failures.into() };
        !self.failures.lock().take(Party::of(address), rate, now)
    }

    /// Room for an answer that is held back; `None`: too many are.
    pub fn hold_back(self: &Arc<Self>) -> Option<HeldBack> {
        let before = self.held_back.fetch_add(1, Ordering::Relaxed);
        let held = HeldBack(self.clone());
        (before < HELD_BACK_MAX).then_some(held)
    }

    /// One more connection of `address`; `None`: it has as many as it may have.
    pub fn connect(self: &Arc<Self>, address: IpAddr) -> Option<Connected> {
        let settings = self.settings();
        if Self::is_exempt(&settings, address) {
            return Some(Connected(None));
        }
        let party = Party::of(address);
        let mut connections = self.connections.lock();
        let count = connections.entry(party).or_insert(0);
        if *count >= settings.connections {
            return None;
        }
        *count += 1;
        Some(Connected(Some((self.clone(), party))))
    }

    /// Counts, and says so in the log as far as one address may fill it. The line is made for fail2ban:
    /// docs/abuse.md.
    pub fn tell(&self, reason: Reason, address: IpAddr, call: &str, now: Moment) {
        if let Some(count) = self.counts.get(reason as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let settings = self.settings();
        if !settings.security_log || Self::is_exempt(&settings, address) {
            return;
        }
        let each = Rate { burst: LINES_BURST_MAX, per_minute: 60 };
        let all =
            Rate { burst: LINES_PER_SECOND_MAX, per_minute: u64::from(LINES_PER_SECOND_MAX) * 60 };
        let may = self.lines.lock().take(Party::of(address), each, now)
            && self.all_lines.lock().take((), all, now);
        if may {
            let call = if call.is_empty() { "-" } else { call };
            let (client, why) = (address.to_canonical(), reason.name());
            log::warn!("security: client={client} reason={why} call={call}");
        }
    }
}

/// An answer that is held back.
#[derive(Debug)]
pub struct HeldBack(Arc<Guard>);

impl Drop for HeldBack {
    fn drop(&mut self) {
        self.0.held_back.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub struct Connected(Option<(Arc<Guard>, Party)>);

impl Drop for Connected {
    fn drop(&mut self) {
        let Some((guard, party)) = self.0.take() else { return };
        let mut connections = guard.connections.lock();
        if let Some(count) = connections.get_mut(&party) {
            *count -= 1;
            if *count == 0 {
                connections.remove(&party);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(change: impl FnOnce(&mut AbuseSettings)) -> Arc<Guard> {
        let mut settings = AbuseSettings::default();
        change(&mut settings);
        Arc::new(Guard::new(settings))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_school_behind_one_address_passes_at_the_bell() {
        let guard = guard(|_| {});
        // All in the same millisecond, each three times, which no school manages.
        assert!((0..3000).all(|_| guard.allows(ip("192.0.2.1"), Moment(0))));
        // And again every minute of the day.
        for minute in 1..600 {
            let now = Moment(minute * 60_000);
            assert!((0..3000).all(|_| guard.allows(ip("192.0.2.1"), now)));
        }
    }

    #[test]
    fn who_asks_too_much_is_refused_and_nobody_else() {
        let guard = guard(|s| {
            (s.burst, s.requests) = (10, 5);
            s.exempt = vec!["198.51.100.0/24".parse().unwrap()];
        });
        let passed = |address: &str, now| {
            (0..100).filter(|_| guard.allows(ip(address), Moment(now))).count()
        };
        assert_eq!(passed("192.0.2.1", 0), 10);
        assert_eq!(passed("192.0.2.1", 1000), 5);
        assert_eq!(passed("192.0.2.2", 1000), 10);
        assert_eq!(passed("198.51.100.7", 1000), 100);
        assert_eq!(passed("::ffff:198.51.100.7", 1000), 100);
        assert_eq!(passed("2001:db8::1", 1000), 10);
        assert_eq!(passed("2001:db8::2", 1000), 0);
        assert_eq!(passed("2001:db8:0:1::2", 1000), 10);
    }

    #[test]
    fn a_secret_has_a_rate_of_its_own_if_one_is_set() {
        let guard = guard(|s| s.secret_requests = Some(1));
        let passed =
            |secret, now| (0..100).filter(|_| guard.allows_secret(secret, Moment(now))).count();
        assert_eq!((passed(1, 0), passed(2, 0), passed(1, 2000)), (10, 10, 2));
        assert!((0..100_000).all(|_| self::guard(|_| {}).allows_secret(1, Moment(0))));
    }

    #[test]
    fn wrong_checksums_are_answered_late_after_some() {
        let guard = guard(|s| s.failures = 3);
        let late: Vec<bool> = (0..5).map(|_| guard.failed(ip("192.0.2.1"), Moment(0))).collect();
        assert_eq!(late, [false, false, false, true, true]);
        assert!(!guard.failed(ip("192.0.2.1"), Moment(20_000)));
        assert!(!guard.failed(ip("192.0.2.2"), Moment(0)));
    }

    #[test]
    fn connections_are_counted_until_they_end() {
        let guard = guard(|s| s.connections = 2);
        let one = guard.connect(ip("192.0.2.1"));
        let two = guard.connect(ip("::ffff:192.0.2.1"));
        assert!(one.is_some() && two.is_some());
        assert!(guard.connect(ip("192.0.2.1")).is_none());
        assert!(guard.connect(ip("192.0.2.2")).is_some());
        drop(one);
        assert!(guard.connect(ip("192.0.2.1")).is_some());
        drop(two);
        assert!(guard.connections.lock().is_empty());
    }
}
