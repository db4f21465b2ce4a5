//! What is believed of meetings, and how it is learned: sizes and arrivals, put together into what a meeting
//! will add to its server.

use crate::cluster::attendance::Attendance;
use crate::cluster::meetings::{Key, Meeting};
use crate::cluster::moment::Moment;
use crate::cluster::placement::cost::{Share, Weights};
use crate::cluster::placement::expectation::{Arrivals, Prior};
use crate::cluster::placement::lifetimes::Lifetimes;
use crate::cluster::placement::sizes::{SizeKey, Sizes};

/// All of it.
#[derive(Debug, Default)]
pub struct Foresight {
    weights: Weights,
    arrivals: Arrivals,
    lifetimes: Lifetimes,
    sizes: Sizes,
}

impl Foresight {
    /// One that has learned nothing yet.
    pub fn new(weights: Weights) -> Self {
        Self { weights, ..Self::default() }
    }

    /// What a meeting costs from now on.
    pub(crate) fn set_weights(&mut self, weights: Weights) {
        self.weights = weights;
    }

    /// What was learned of sizes.
    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    pub(crate) fn sizes_mut(&mut self) -> &mut Sizes {
        &mut self.sizes
    }

    /// What is believed of a meeting that nobody has come to yet.
    pub fn prior(&self, key: &Key, hint: Option<u32>, now: Moment) -> Prior {
        self.sizes.prior(&SizeKey::of(key), hint, now)
    }

    /// What the meeting adds to its server.
    pub(crate) fn share(&self, attendance: &Attendance, is_room: bool, now: Moment) -> Share {
        let crowd = attendance.crowd();
        if is_room {
            return self.weights.share_of_room(&crowd);
        }
        let expected = match attendance.young() {
            Some((born, prior)) => self.arrivals.expect(prior, crowd.people, now.since(born)),
            None => f64::from(crowd.people),
        };
        let staying = match attendance.born() {
            Some(born) => self.lifetimes.staying(now.since(born)),
            None => 1.0,
        };
        self.weights.share(&crowd, expected, staying)
    }

    /// A meeting is over, or is about to be forgotten for another of its ID.
    pub(crate) fn learn(&mut self, meeting: &Meeting, now: Moment) {
        // Breakout rooms get a new ID each time, and are not placed.
        if meeting.parent.is_some() {
            return;
        }
        let attendance = &meeting.attendance;
        if let Some(born) = attendance.born() {
            self.lifetimes.learn(now.since(born));
        }
        self.arrivals.learn(attendance.milestones(), attendance.peak());
        self.sizes.learn(SizeKey::of(&meeting.key), attendance.peak(), now);
    }
}
