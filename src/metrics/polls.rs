//! How long servers took to list their meetings: counted for ever, one row per server.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

/// Upper bounds in seconds, as greenstatic's exporter has them, written as it writes them.
pub const BUCKETS_S: [&str; 17] = [
    "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75", "1.0", "1.25", "1.5", "1.75",
    "2.0", "2.5", "5.0", "7.5", "10.0",
];

/// The answers of one server.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Latency {
    /// How many took at most as long as each bound.
    pub within: [u64; BUCKETS_S.len()],
    /// How many there were.
    pub count: u64,
    /// How long all of them took.
    pub sum: Duration,
}

/// The answers of all servers.
#[derive(Debug, Default)]
pub struct Polls(Mutex<BTreeMap<String, Latency>>);

impl Polls {
    /// `server` has answered after `took`.
    pub fn answered(&self, server: &str, took: Duration) {
        let mut rows = self.0.lock();
        if !rows.contains_key(server) {
            rows.insert(server.to_owned(), Latency::default());
        }
        let Some(row) = rows.get_mut(server) else { return };
        row.count += 1;
        row.sum += took;
        for (count, bound) in row.within.iter_mut().zip(BUCKETS_S) {
            let bound: f64 = bound.parse().unwrap_or(f64::INFINITY);
            *count += u64::from(took.as_secs_f64() <= bound);
        }
    }

    /// What is known of `server`.
    pub fn of(&self, server: &str) -> Latency {
        self.0.lock().get(server).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_in_every_bucket_from_its_own_on() {
        let polls = Polls::default();
        polls.answered("bbb1", Duration::from_millis(80));
        polls.answered("bbb1", Duration::from_secs(11));
        let row = polls.of("bbb1");
        assert_eq!((row.count, row.within[3], row.within[4], row.within[16]), (2, 0, 1, 1));
        assert_eq!(polls.of("bbb2"), Latency::default());
    }
}
