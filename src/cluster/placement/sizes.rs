//! How large meetings were: by meeting ID, by tenant and over all. What is known of an ID fades with time and
//! the table is bounded. IDs are kept as hashes only: they are often names.

use std::collections::HashMap;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::bbb::id::TenantId;
use crate::cluster::meetings::Key;
use crate::cluster::moment::Moment;
use crate::cluster::placement::expectation::{Prior, Source};

/// A meeting ID of a tenant, unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SizeKey {
    /// Whose.
    pub tenant: TenantId,
    /// The first bytes of the ID's SHA-256.
    pub hash: [u8; 12],
}

impl SizeKey {
    /// Of a meeting.
    pub fn of(key: &Key) -> Self {
        let digest = Sha256::digest(key.id.as_str().as_bytes());
        let mut hash = [0; 12];
        hash.iter_mut().zip(digest).for_each(|(to, byte)| *to = byte);
        Self { tenant: key.tenant, hash }
    }

    /// A few letters that tell meetings apart in logs.
    pub fn short(&self) -> String {
        hex::encode(self.hash.iter().take(4).copied().collect::<Vec<u8>>())
    }
}

/// What earlier meetings of one ID, or of many, were like.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Spread {
    /// How many they count for.
    pub count: f64,
    /// Their mean size.
    pub mean: f64,
    /// The mean square of their distances from it.
    pub variance: f64,
}

impl Spread {
    /// One more of `size`; beyond `count_max` older ones give way.
    fn add(&mut self, size: f64, count_max: f64) {
        self.count = (self.count + 1.0).min(count_max);
        let part = 1.0 / self.count;
        let distance = size - self.mean;
        self.mean += part * distance;
        self.variance += part * (distance * (size - self.mean) - self.variance);
    }

    /// What both together say, `other` counting for `count`.
    fn with(&self, other: &Self, count: f64) -> Self {
        let part = count / (self.count + count);
        let mean = self.mean + part * (other.mean - self.mean);
        let square = |one: &Self| one.variance + (one.mean - mean).powi(2);
        let variance = square(self) + part * (square(other) - square(self));
        Self { count: self.count + count, mean, variance }
    }

    fn prior(&self, source: Source, shapes: std::ops::RangeInclusive<f64>) -> Prior {
        let shape = self.mean * self.mean / self.variance.max(f64::MIN_POSITIVE);
        let mean = self.mean.max(MEAN_MIN);
        Prior { mean, shape: shape.clamp(*shapes.start(), *shapes.end()), source }
    }
}

/// Before anything was seen: classes, and now and then a lecture.
const ASSUMED: Spread = Spread { count: 20.0, mean: 12.0, variance: 200.0 };
const MEAN_MIN: f64 = 0.5;
/// How surely a front end knows.
const HINT_SHAPE: f64 = 8.0;
/// What is believed at most, whatever a front end says.
const HINT_MAX: u32 = 1_000;

/// How many meetings of an ID are remembered, roughly: what was long ago says less than what was last.
const COUNT_OF_ID_MAX: f64 = 5.0;
const COUNT_OF_TENANT_MAX: f64 = 500.0;
/// An ID's sizes scatter by about a third at least, whatever few of them seem to say.
const SHAPES_OF_ID: std::ops::RangeInclusive<f64> = 1.0..=40.0;
/// How many meetings of its ID the scatter of others counts for.
const SCATTER_COUNTS: f64 = 3.0;
/// Meetings of two or three people differ by one or two: that is no scatter.
const SMALL: f64 = 9.0;
/// A room that had a hundred people once instead of ten says no more than this.
const SQUARE_MAX: f64 = 4.0;
const SHAPES_OF_TENANT: std::ops::RangeInclusive<f64> = 0.3..=4.0;
/// How many meetings of its ID the tenant's mean counts for, and how the scatter around it is believed to be.
const TENANT_COUNTS: f64 = 0.3;
/// After this long half of what is known of an ID is left; school years have their breaks.
const HALF_LIFE_DAYS: f64 = 60.0;
/// Less than this much of a meeting is nothing.
const COUNT_MIN: f64 = 0.1;
/// About 10 MB.
const IDS_MAX: usize = 100_000;

/// What one ID's meetings were like, and when that was last true.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Learned {
    spread: Spread,
    /// Milliseconds like [`Moment`]'s; negative for before the program began.
    last: i64,
}

/// Everything that is known of sizes.
#[derive(Debug, Default)]
pub struct Sizes {
    ids: HashMap<SizeKey, Learned>,
    tenants: HashMap<TenantId, Spread>,
    all: Spread,
    scatter: Scatter,
}

/// How far the sizes of one ID usually are from their mean, over all IDs.
#[derive(Debug, Clone, Copy)]
struct Scatter {
    count: f64,
    /// The mean square of the distance, in relation to that of the mean.
    square: f64,
}

impl Default for Scatter {
    fn default() -> Self {
        Self { count: 5.0, square: 0.3 }
    }
}

impl Scatter {
    /// The variance around this mean.
    fn of(&self, mean: f64) -> f64 {
        self.square * (mean * mean + SMALL)
    }

    /// A meeting of `size`, when `before` is known of its ID.
    fn learn(&mut self, before: &Spread, size: f64) {
        if before.count < 1.0 {
            return;
        }
        let distance = (size - before.mean).powi(2) / (1.0 + 1.0 / before.count);
        let square = (distance / (before.mean.powi(2) + SMALL)).min(SQUARE_MAX);
        self.count = (self.count + 1.0).min(COUNT_OF_TENANT_MAX);
        self.square += (square - self.square) / self.count;
    }
}

/// One ID as it is kept over restarts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SizeRecord {
    /// Which.
    pub key: SizeKey,
    /// What its meetings were like.
    pub spread: Spread,
    /// How long ago the last one was.
    pub age: Duration,
}

/// All that is kept over restarts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SizeRecords {
    /// By ID, in no order.
    pub ids: Vec<SizeRecord>,
    /// By tenant, in no order.
    pub tenants: Vec<(TenantId, Spread)>,
    /// Over all.
    pub all: Spread,
}

impl Sizes {
    /// What is believed of a meeting that nobody has come to yet.
    pub fn prior(&self, key: &SizeKey, hint: Option<u32>, now: Moment) -> Prior {
        if let Some(hint) = hint.filter(|hint| *hint > 0) {
            let mean = f64::from(hint.min(HINT_MAX));
            return Prior { mean, shape: HINT_SHAPE, source: Source::Hint };
        }
        let tenant = self.tenants.get(&key.tenant).copied().unwrap_or_default();
        let tenant = tenant.with(&self.all.with(&ASSUMED, ASSUMED.count), ASSUMED.count);
        match self.ids.get(key).and_then(|learned| learned.at(now)) {
            Some(own) => self.prior_of(&own, &tenant),
            None => tenant.prior(Source::Tenant, SHAPES_OF_TENANT),
        }
    }

    /// What is believed of a meeting whose ID is known. Its mean is drawn towards the tenant's the more, the
    /// less is known of it and the less the tenant's meetings differ. How much it scatters follows from its
    /// own sizes, and from how much those of other IDs did.
    fn prior_of(&self, own: &Spread, tenant: &Spread) -> Prior {
        let usual = self.scatter.of(own.mean);
        let pull = (usual / (tenant.variance + 1.0)).min(TENANT_COUNTS);
        let mean = (own.count * own.mean + pull * tenant.mean) / (own.count + pull);
        let within =
            (own.count * own.variance + SCATTER_COUNTS * usual) / (own.count + SCATTER_COUNTS);
        let variance = within * (1.0 + 1.0 / (own.count + pull));
        Spread { count: own.count, mean, variance }.prior(Source::Learned, SHAPES_OF_ID)
    }

    /// A meeting had `size` people when it had most.
    pub fn learn(&mut self, key: SizeKey, size: u32, now: Moment) {
        let size = f64::from(size);
        self.all.add(size, COUNT_OF_TENANT_MAX);
        self.tenants.entry(key.tenant).or_default().add(size, COUNT_OF_TENANT_MAX);
        let mut spread = self.ids.get(&key).and_then(|learned| learned.at(now)).unwrap_or_default();
        self.scatter.learn(&spread, size);
        spread.add(size, COUNT_OF_ID_MAX);
        self.ids.insert(key, Learned { spread, last: signed(now) });
        self.bound();
    }

    /// Lets the oldest tenth go when there are too many: rarely, so that it costs little on the whole.
    fn bound(&mut self) {
        if self.ids.len() <= IDS_MAX {
            return;
        }
        let mut ages: Vec<i64> = self.ids.values().map(|learned| learned.last).collect();
        let (_, &mut oldest, _) = ages.select_nth_unstable(IDS_MAX / 10);
        self.ids.retain(|_, learned| learned.last > oldest);
    }

    /// All that is worth keeping over a restart.
    pub fn export(&self, now: Moment) -> SizeRecords {
        let age = |learned: &Learned| {
            Duration::from_millis(signed(now).saturating_sub(learned.last).max(0).unsigned_abs())
        };
        let known = self.ids.iter().filter(|(_, learned)| learned.at(now).is_some());
        let record = |(key, learned): (&SizeKey, &Learned)| SizeRecord {
            key: *key,
            spread: learned.spread,
            age: age(learned),
        };
        SizeRecords {
            ids: known.map(record).collect(),
            tenants: self.tenants.iter().map(|(tenant, spread)| (*tenant, *spread)).collect(),
            all: self.all,
        }
    }

    /// Takes in what was kept; what was learned since stays.
    pub fn import(&mut self, records: SizeRecords, now: Moment) {
        for record in records.ids.into_iter().filter(|record| is_sound(&record.spread)) {
            let age = i64::try_from(record.age.as_millis()).unwrap_or(i64::MAX);
            let last = signed(now).saturating_sub(age);
            self.ids.entry(record.key).or_insert(Learned { spread: record.spread, last });
        }
        self.bound();
        for (tenant, spread) in records.tenants.into_iter().filter(|(_, spread)| is_sound(spread)) {
            self.tenants.entry(tenant).or_insert(spread);
        }
        if self.all.count == 0.0 && is_sound(&records.all) {
            self.all = records.all;
        }
    }

    /// How many IDs are known.
    pub fn count(&self) -> usize {
        self.ids.len()
    }
}

impl Learned {
    /// What is left of it, if that is worth anything.
    fn at(&self, now: Moment) -> Option<Spread> {
        let days = signed(now).saturating_sub(self.last).max(0) as f64 / 86_400_000.0;
        let count = self.spread.count * 0.5_f64.powf(days / HALF_LIFE_DAYS);
        (count >= COUNT_MIN).then_some(Spread { count, ..self.spread })
    }
}

fn signed(now: Moment) -> i64 {
    i64::try_from(now.0).unwrap_or(i64::MAX)
}

/// Whether a record can have been written by `export`.
fn is_sound(spread: &Spread) -> bool {
    [spread.count, spread.mean, spread.variance]
        .iter()
        .all(|number| number.is_finite() && *number >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bbb::id::MeetingId;

    const DAY_MS: u64 = 86_400_000;

    fn key(id: &str) -> SizeKey {
        SizeKey::of(&Key { tenant: TenantId::DEFAULT, id: MeetingId::new(id).unwrap() })
    }

    fn prior(sizes: &Sizes, id: &str, day: u64) -> Prior {
        sizes.prior(&key(id), None, Moment(day * DAY_MS))
    }

    #[test]
    fn keys_are_hashes_and_their_short_form_fits_a_log_line() {
        assert_eq!(key("Mathe 7b").short(), "1ce338f3");
        assert_ne!(key("a"), key("b"));
        let other = Key { tenant: TenantId(1), id: MeetingId::new("a").unwrap() };
        assert_ne!(key("a"), SizeKey::of(&other));
    }

    #[test]
    fn a_hint_goes_before_what_was_learned() {
        let mut sizes = Sizes::default();
        sizes.learn(key("m"), 30, Moment(0));
        let with = |hint| sizes.prior(&key("m"), hint, Moment(0));
        assert_eq!((with(Some(80)).mean, with(Some(80)).source), (80.0, Source::Hint));
        assert_eq!(with(Some(u32::MAX)).mean, 1000.0);
        assert_eq!(with(Some(0)).source, Source::Learned);
        assert_eq!(with(None).source, Source::Learned);
    }

    #[test]
    fn an_id_is_known_better_each_time() {
        let mut sizes = Sizes::default();
        let unknown = prior(&sizes, "m", 0);
        assert_eq!((unknown.mean, unknown.source), (12.0, Source::Tenant));
        sizes.learn(key("m"), 60, Moment(0));
        let once = prior(&sizes, "m", 0);
        assert!((45.0..60.0).contains(&once.mean) && once.shape < 4.0, "{once:?}");
        for day in 1..9 {
            sizes.learn(key("m"), 60, Moment(day * DAY_MS));
        }
        let often = prior(&sizes, "m", 9);
        assert!((56.0..60.1).contains(&often.mean) && often.shape > once.shape, "{often:?}");
        // Those nobody knows are believed to be larger, too.
        assert!(prior(&sizes, "x", 9).mean > 15.0);
    }

    #[test]
    fn how_far_sizes_scatter_is_learned_from_all_ids() {
        let known_once = |sizes_of_others: [u32; 3]| {
            let mut sizes = Sizes::default();
            for other in 0..40 {
                for (day, size) in (0..).zip(sizes_of_others) {
                    sizes.learn(key(&format!("other-{other}")), size + other, Moment(day * DAY_MS));
                }
            }
            sizes.learn(key("m"), 30, Moment(3 * DAY_MS));
            prior(&sizes, "m", 3)
        };
        let (steady, wild) = (known_once([20, 21, 19]), known_once([5, 60, 20]));
        assert!(steady.shape > 2.0 * wild.shape, "{steady:?} {wild:?}");
        // Where rooms differ and each is like itself, a room is what it was.
        assert!((29.0..32.0).contains(&steady.mean), "{steady:?}");
    }

    #[test]
    fn what_is_old_fades() {
        let mut sizes = Sizes::default();
        sizes.learn(key("m"), 60, Moment(0));
        let means: Vec<f64> = [0, 60, 120].map(|day| prior(&sizes, "m", day).mean).to_vec();
        assert!(means.is_sorted_by(|a, b| a > b), "{means:?}");
        assert_eq!(prior(&sizes, "m", 400).source, Source::Tenant);
        assert!(sizes.export(Moment(400 * DAY_MS)).ids.is_empty());
    }

    #[test]
    fn the_table_is_bounded_and_lets_the_oldest_go() {
        let mut sizes = Sizes::default();
        for n in 0..IDS_MAX as u64 + 1 {
            let mut hash = [0; 12];
            hash[..8].copy_from_slice(&n.to_be_bytes());
            sizes.learn(SizeKey { tenant: TenantId::DEFAULT, hash }, 5, Moment(n));
        }
        assert_eq!(sizes.count(), IDS_MAX - IDS_MAX / 10);
        let left = sizes.ids.values().map(|learned| learned.last).min();
        assert_eq!(left, Some(IDS_MAX as i64 / 10 + 1));
    }

    #[test]
    fn a_restart_loses_nothing_and_refuses_nonsense() {
        let mut sizes = Sizes::default();
        for (day, id) in [(1, "a"), (2, "b"), (3, "a")] {
            sizes.learn(key(id), 40 + day, Moment(u64::from(day) * DAY_MS));
        }
        let mut records = sizes.export(Moment(10 * DAY_MS));
        let nonsense = Spread { mean: f64::NAN, ..records.all };
        records.ids.push(SizeRecord { key: key("c"), spread: nonsense, age: Duration::ZERO });
        // The new process is young: what it is told of is older than itself.
        let mut reborn = Sizes::default();
        reborn.import(records, Moment(5));
        assert_eq!(reborn.count(), 2);
        for id in ["a", "b", "x"] {
            let (before, after) = (prior(&sizes, id, 10), reborn.prior(&key(id), None, Moment(5)));
            assert!((before.mean - after.mean).abs() < 1e-6, "{id}: {before:?} {after:?}");
        }
    }
}
