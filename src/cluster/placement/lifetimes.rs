//! How long meetings last, and so how likely one is to go on. Rooms for the next lesson are opened while the one
//! before still runs: who is about to leave must not decide where those go who are about to come.

use std::time::Duration;

const BUCKET: Duration = Duration::from_secs(150);
/// Four hours; what lasts longer goes on.
const BUCKETS: usize = 96;
/// New meetings are full after about this many buckets: ten minutes.
const AHEAD: usize = 4;
/// Meetings of any age that are assumed to have gone on, so that few observations say little.
const ASSUMED: f64 = 10.0;
/// Counts are halved beyond this many, so that habits may change.
const COUNTED_MAX: f64 = 4_000.0;
/// However surely it seems to end soon, this much of it may stay.
const STAYING_MIN: f64 = 0.1;

/// At which age meetings ended.
#[derive(Debug, Clone)]
pub struct Lifetimes {
    ended: [f64; BUCKETS],
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { ended: [0.0; BUCKETS] }
    }
}

fn bucket(age: Duration) -> usize {
    usize::try_from(age.as_secs() / BUCKET.as_secs()).unwrap_or(BUCKETS).min(BUCKETS)
}

impl Lifetimes {
    /// A meeting ended at this age.
    pub fn learn(&mut self, age: Duration) {
        if let Some(count) = self.ended.get_mut(bucket(age)) {
            *count += 1.0;
        }
        if self.ended.iter().sum::<f64>() > COUNTED_MAX {
            self.ended.iter_mut().for_each(|count| *count /= 2.0);
        }
    }

    /// How likely a meeting of this age is to go on until a new one is full.
    pub fn staying(&self, age: Duration) -> f64 {
        let from = bucket(age);
        let later: f64 = self.ended.iter().skip(from).sum();
        let soon: f64 = self.ended.iter().skip(from).take(AHEAD).sum();
        (1.0 - soon / (later + ASSUMED)).max(STAYING_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(60 * minutes)
    }

    #[test]
    fn lessons_end_when_lessons_ended() {
        let mut lifetimes = Lifetimes::default();
        assert_eq!(lifetimes.staying(minutes(44)), 1.0);
        for n in 0..200 {
            lifetimes.learn(minutes(45 + n % 5));
        }
        assert_eq!(lifetimes.staying(minutes(20)), 1.0);
        assert!(lifetimes.staying(minutes(42)) < 0.2);
        // Whatever goes on longer than all before is not about to end.
        assert_eq!(lifetimes.staying(minutes(60)), 1.0);
        assert_eq!(lifetimes.staying(minutes(6000)), 1.0);
    }
}
