//! Token buckets, one for each key, in a bounded table. Pure: `now` is an argument. Own code because a bucket is
//! two lines, and the crates for it bring clocks of their own and tables without a bound.

use std::collections::HashMap;
use std::hash::Hash;

use crate::cluster::moment::Moment;

/// Keys that are counted at the same time. An entry takes some 50 bytes.
const KEYS_MAX: usize = 100_000;

/// How much may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// At once, when nothing was taken for a while.
    pub burst: u32,
    /// For long.
    pub per_minute: u64,
}

/// What is missing from a full bucket, in 60,000ths, at a moment. A full bucket needs no entry.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    missing: u64,
    at: Moment,
}

/// A unit of what is taken, so that a millisecond gives back a whole number of parts.
const PARTS: u64 = 60_000;

/// A bucket for each key.
#[derive(Debug)]
pub struct Buckets<K>(HashMap<K, Bucket>);

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash + Copy> Buckets<K> {
    /// Takes one for `key`, if there is one.
    pub fn take(&mut self, key: K, rate: Rate, now: Moment) -> bool {
        if self.0.len() >= KEYS_MAX && !self.0.contains_key(&key) {
            self.make_room(rate, now);
        }
        let full = u64::from(rate.burst) * PARTS;
        let bucket = self.0.entry(key).or_insert(Bucket { missing: 0, at: now });
        bucket.missing = missing(*bucket, rate, now);
        bucket.at = now;
        let allowed = bucket.missing + PARTS <= full;
        if allowed {
            bucket.missing += PARTS;
        }
        allowed
    }

    /// Forgets who has a full bucket again; if nobody has, everybody: an attacker with so many addresses is not
    /// stopped by counting them.
    fn make_room(&mut self, rate: Rate, now: Moment) {
        self.0.retain(|_, bucket| missing(*bucket, rate, now) > 0);
        if self.0.len() >= KEYS_MAX {
            self.0.clear();
        }
    }
}

fn missing(bucket: Bucket, rate: Rate, now: Moment) -> u64 {
    let passed_ms = now.0.saturating_sub(bucket.at.0);
    bucket.missing.saturating_sub(passed_ms.saturating_mul(rate.per_minute))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3, per_minute: 60 };

    #[test]
    fn what_was_taken_comes_back() {
        let mut buckets = Buckets::default();
        let mut take = |now| buckets.take(1, RATE, Moment(now));
        assert_eq!([take(0), take(0), take(0), take(0)], [true, true, true, false]);
        assert!(!take(999));
        assert!(take(1000));
        assert!(!take(1000));
        // A clock that went back gives nothing.
        assert!(!take(0));
    }

    #[test]
    fn the_table_stays_bounded() {
        let mut buckets = Buckets::default();
        for key in 0..KEYS_MAX {
            buckets.take(key, RATE, Moment(0));
        }
        // Full again, so forgotten.
        buckets.take(KEYS_MAX, RATE, Moment(10_000));
        assert_eq!(buckets.0.len(), 1);
        for key in 0..=KEYS_MAX * 2 {
            buckets.take(key, RATE, Moment(10_000));
        }
        assert!(buckets.0.len() <= KEYS_MAX);
    }
}
