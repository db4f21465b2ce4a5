//! How many people a young meeting will have: what was believed before it began, corrected by who has come and
//! by how much of the usual time has passed.
//!
//! The size of a meeting is Gamma distributed around its prior; who is there at some moment is a Poisson
//! sample of the share that has come by then. That share differs from meeting to meeting (some are made a
//! quarter of an hour before the bell), so its distribution at each age is kept too, as counts at a few levels
//! that finished meetings add to. Ten minutes old and empty then means "not begun" for a class that always has
//! thirty, and "small" for one nobody knows; both decay to the people who are there.

use std::time::Duration;

/// What is believed of a meeting's size before anybody comes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prior {
    /// People, above 0.
    pub mean: f64,
    /// How sure that is: the square of mean over deviation. Below 1 sizes are spread over magnitudes.
    pub shape: f64,
    /// Where it comes from.
    pub source: Source,
}

/// Where a prior comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The front end said so.
    Hint,
    /// Earlier meetings of this ID.
    Learned,
    /// Other meetings of this tenant, and of all.
    Tenant,
}

impl Source {
    /// A word for the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hint => "hint",
            Self::Learned => "learned",
            Self::Tenant => "tenant",
        }
    }
}

/// Ages, in seconds, at which attendance is remembered. From the last one on, whoever comes has come.
pub(crate) const AGES_S: [u32; 10] = [30, 60, 120, 180, 300, 480, 720, 1080, 1800, 3600];

/// Shares of its final people that a meeting may have reached; the first means that it has not begun.
const LEVELS: [f64; 7] = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0];

/// How many come before a meeting has begun, on average: whoever made it.
const EARLY: f64 = 1.0;
/// More than this many have never come early.
const EARLY_MAX: u32 = 10;

/// Meetings of fewer people say little about shares.
const PEOPLE_MIN: u32 = 5;

/// How many meetings what is assumed at the start counts for.
const ASSUMED: f64 = 20.0;

/// Counts are halved beyond this many, so that habits may change.
const COUNTED_MAX: f64 = 4_000.0;

/// How much of its people a meeting has at which age, over all meetings.
#[derive(Debug, Clone)]
pub struct Arrivals {
    counts: [[f64; LEVELS.len()]; AGES_S.len()],
}

/// The people of one meeting at each of the ages, as far as it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Milestones {
    people: [u32; AGES_S.len()],
    passed: usize,
}

impl Milestones {
    /// `people` were there until now, at `age`. True when that was the last one to pass.
    pub fn pass(&mut self, age: Duration, people: u32) -> bool {
        let before = self.passed;
        while let (Some(at), Some(slot)) =
            (AGES_S.get(self.passed), self.people.get_mut(self.passed))
            && age >= Duration::from_secs(u64::from(*at))
        {
            *slot = people;
            self.passed += 1;
        }
        self.passed > before && self.passed == AGES_S.len()
    }
}

impl Default for Arrivals {
    /// As assumed before anything was seen: half of the meetings begin within three minutes after they are
    /// made, one in twenty after a quarter of an hour or later; people come within a few minutes then.
    fn default() -> Self {
        const STEPS: u32 = 100;
        const COMING_S: f64 = 120.0;
        let begins = |quantile: f64| match quantile {
            early if early < 0.8 => -200.0 * (1.0 - early / 0.8).max(0.02).ln(),
            late => -600.0 * (1.0 - (late - 0.8) / 0.2).max(0.02).ln(),
        };
        let mut counts = [[0.1; LEVELS.len()]; AGES_S.len()];
        for (row, age) in counts.iter_mut().zip(AGES_S) {
            for step in 0..STEPS {
                let since = f64::from(age) - begins((f64::from(step) + 0.5) / f64::from(STEPS));
                let share = 1.0 - (-since.max(0.0) / COMING_S).exp();
                row[level(share)] += ASSUMED / f64::from(STEPS);
            }
        }
        Self { counts }
    }
}

fn level(share: f64) -> usize {
    let middle = |i: usize| (LEVELS[i] + LEVELS[i + 1]) / 2.0;
    (0..LEVELS.len() - 1).find(|&i| share < middle(i)).unwrap_or(LEVELS.len() - 1)
}

impl Arrivals {
    /// Learns from a meeting that had at most `peak` people and passed these milestones.
    pub fn learn(&mut self, milestones: &Milestones, peak: u32) {
        if peak < PEOPLE_MIN {
            return;
        }
        let passed = milestones.people.iter().take(milestones.passed);
        for (row, people) in self.counts.iter_mut().zip(passed) {
            row[level(f64::from(*people) / f64::from(peak))] += 1.0;
            if row.iter().sum::<f64>() > COUNTED_MAX {
                row.iter_mut().for_each(|count| *count /= 2.0);
            }
        }
    }

    /// How likely each level is at `age`; `None` once everybody has come.
    fn levels(&self, age: Duration) -> Option<[f64; LEVELS.len()]> {
        let age = age.as_secs_f64();
        let next = AGES_S.iter().position(|&at| age < f64::from(at))?;
        let from = if next == 0 { 0.0 } else { f64::from(AGES_S[next - 1]) };
        let part = (age - from) / (f64::from(AGES_S[next]) - from);
        let mut likely = [0.0; LEVELS.len()];
        // Made and nobody there, just now: the lowest level.
        likely[0] = if next == 0 { 1.0 - part } else { 0.0 };
        let mut blend = |row: &[f64; LEVELS.len()], part: f64| {
            let sum: f64 = row.iter().sum();
            likely.iter_mut().zip(row).for_each(|(to, count)| *to += part * count / sum);
        };
        if next > 0 {
            blend(&self.counts[next - 1], 1.0 - part);
        }
        blend(&self.counts[next], part);
        Some(likely)
    }

    /// The people a meeting will have that has `people` at `age`; never fewer than it has.
    pub fn expect(&self, prior: &Prior, people: u32, age: Duration) -> f64 {
        let seen = f64::from(people);
        let Some(likely) = self.levels(age) else { return seen };
        let rate = prior.shape / prior.mean;
        // How well each level explains who is there (Gamma-Poisson, without what all levels share), and how
        // many are still to come if it is the one.
        let explains = |share: f64| {
            if share > 0.0 {
                prior.shape * (rate / (rate + share)).ln() + seen * (share / (rate + share)).ln()
            } else if people <= EARLY_MAX {
                let shared: f64 = (0..people).map(|n| (prior.shape + f64::from(n)).ln()).sum();
                seen * EARLY.ln() - EARLY - shared
            } else {
                f64::NEG_INFINITY
            }
        };
        let to_come = |share: f64| {
            if share > 0.0 {
                (prior.shape + seen) / (rate + share) * (1.0 - share)
            } else {
                (prior.mean - seen).max(0.0)
            }
        };
        let logs = LEVELS.map(explains);
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (mut sum, mut coming) = (0.0, 0.0);
        for ((share, log), likely) in LEVELS.into_iter().zip(logs).zip(likely) {
            let weight = likely * (log - most).exp();
            sum += weight;
            coming += weight * to_come(share);
        }
        if sum > 0.0 { seen + coming / sum } else { seen }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prior(mean: f64, shape: f64) -> Prior {
        Prior { mean, shape, source: Source::Tenant }
    }

    fn expect(prior: Prior, people: u32, age_s: u64) -> f64 {
        Arrivals::default().expect(&prior, people, Duration::from_secs(age_s))
    }

    #[track_caller]
    fn check(prior: Prior, people: u32, age_s: u64, expected: std::ops::Range<f64>) {
        let found = expect(prior, people, age_s);
        assert!(expected.contains(&found), "{people} people at {age_s} s: {found}");
    }

    #[test]
    fn at_first_it_is_the_prior_and_at_last_the_people() {
        check(prior(30.0, 8.0), 0, 0, 30.0..30.1);
        check(prior(300.0, 0.8), 1, 0, 300.0..300.1);
        check(prior(30.0, 8.0), 7, 3600, 7.0..7.1);
        check(prior(30.0, 8.0), 0, 3600, 0.0..0.1);
    }

    #[test]
    fn a_known_class_has_not_begun_and_an_unknown_one_is_small() {
        check(prior(30.0, 8.0), 1, 600, 20.0..31.0);
        check(prior(30.0, 0.5), 1, 600, 5.0..15.0);
        check(prior(30.0, 0.5), 1, 1_800, 1.0..4.0);
    }

    #[test]
    fn many_at_once_promise_more() {
        check(prior(12.0, 0.5), 40, 60, 60.0..200.0);
        check(prior(12.0, 0.5), 40, 1800, 40.0..45.0);
    }

    #[test]
    fn habits_are_learned() {
        let mut arrivals = Arrivals::default();
        let class = prior(30.0, 8.0);
        let before = arrivals.expect(&class, 29, Duration::from_secs(60));
        for _ in 0..300 {
            let mut milestones = Milestones::default();
            assert!(!milestones.pass(Duration::from_secs(20), 0));
            assert!(milestones.pass(Duration::from_secs(3600), 30));
            arrivals.learn(&milestones, 30);
        }
        let after = arrivals.expect(&class, 29, Duration::from_secs(60));
        assert!(before > 31.0 && after < 30.0, "{before} {after}");
    }

    #[test]
    fn milestones_keep_who_was_there_at_each_age() {
        let mut milestones = Milestones::default();
        assert!(!milestones.pass(Duration::from_secs(29), 3));
        assert!(!milestones.pass(Duration::from_secs(65), 7));
        assert_eq!((milestones.passed, milestones.people[..3].to_vec()), (2, vec![7, 7, 0]));
        assert!(milestones.pass(Duration::from_secs(9999), 8));
        assert!(!milestones.pass(Duration::from_secs(9999), 9));
    }

    proptest! {
        #[test]
        fn never_fewer_than_are_there_and_never_nonsense(
            mean in 0.1_f64..1000.0, shape in 0.1_f64..50.0, people in 0_u32..5000, age in 0_u64..5000,
        ) {
            let found = expect(prior(mean, shape), people, age);
            prop_assert!(found.is_finite() && found >= f64::from(people), "{found}");
        }
    }
}
