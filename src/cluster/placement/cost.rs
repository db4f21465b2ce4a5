//! What a meeting, and all meetings of a server, cost: one person who listens is 1. Sums are kept in whole
//! thousandths, so that what is taken out is exactly what was put in, however often.

use crate::cluster::placement::capacity::Capacity;

/// What counts how much; operators set it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// A meeting by itself: its processes and its conference.
    pub meeting: f64,
    /// A person with an open microphone channel, on top of the 1 for being there. One who only listens by
    /// audio counts a quarter of it.
    pub voice: f64,
    /// One camera sent to one person.
    pub video: f64,
    /// Cameras beyond this many are not sent to everybody: clients show them page by page.
    pub cameras_max: u32,
    /// Expected people from which on a meeting is a giant.
    pub giant: u32,
    /// How many times a giant's people count against a server for another giant.
    pub two_giants: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { meeting: 1.0, voice: 0.1, video: 0.01, cameras_max: 12, giant: 100, two_giants: 0.5 }
    }
}

/// What is known of a meeting's people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Crowd {
    /// There, or on their way: their join passed through and no poll can have shown them yet.
    pub people: u32,
    /// With a microphone channel.
    pub voice: u32,
    /// With audio that only listens.
    pub listeners: u32,
    /// Published cameras.
    pub cameras: u32,
}

impl Weights {
    /// What a meeting adds to its server when `expected` people will be there, and all of it goes on with a
    /// likelihood of `staying`.
    pub fn share(&self, crowd: &Crowd, expected: f64, staying: f64) -> Share {
        let expected = expected.max(f64::from(crowd.people));
        let giants = if expected >= f64::from(self.giant) { expected } else { 0.0 };
        let cost = self.meeting + expected * self.per_person(crowd) + self.sound(crowd);
        Share {
            meetings: 1,
            ..Share::new(crowd.people, expected, staying * cost, staying * giants)
        }
    }

    /// What a breakout room adds: its people are counted in its parent, where they stay online; their sound
    /// and cameras are here.
    pub fn share_of_room(&self, crowd: &Crowd) -> Share {
        let cameras = f64::from(crowd.people) * (self.per_person(crowd) - 1.0);
        Share::new(0, 0.0, self.meeting + cameras + self.sound(crowd), 0.0)
    }

    fn per_person(&self, crowd: &Crowd) -> f64 {
        1.0 + self.video * f64::from(crowd.cameras.min(self.cameras_max))
    }

    fn sound(&self, crowd: &Crowd) -> f64 {
        self.voice * (f64::from(crowd.voice) + f64::from(crowd.listeners) / 4.0)
    }
}

/// What one meeting adds to its server's load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    meetings: u32,
    people: u32,
    expected_m: u64,
    cost_m: u64,
    giants_m: u64,
}

impl Share {
    /// One of `people`, of whom there will be `expected`, at this cost; `giants` is `expected` again if that
    /// makes a giant.
    pub(crate) fn new(people: u32, expected: f64, cost: f64, giants: f64) -> Self {
        Self {
            meetings: 0,
            people,
            expected_m: thousandths(expected),
            cost_m: thousandths(cost),
            giants_m: thousandths(giants),
        }
    }

    /// People who will be there.
    pub fn expected(&self) -> f64 {
        self.expected_m as f64 / 1000.0
    }

    /// Its whole cost.
    pub fn cost(&self) -> f64 {
        self.cost_m as f64 / 1000.0
    }

    /// Whether it will be a giant.
    pub fn is_giant(&self) -> bool {
        self.giants_m > 0
    }
}

/// Numbers of people: negative and absurd ones do not occur, and would count as 0 or as very many.
fn thousandths(number: f64) -> u64 {
    (number * 1000.0).round() as u64
}

/// What the meetings of a server amount to, reservations included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Meetings without breakout rooms.
    pub meetings: u32,
    /// People there or on their way, those in breakout rooms once.
    pub people: u32,
    pub(crate) expected_m: u64,
    pub(crate) cost_m: u64,
    pub(crate) giants_m: u64,
}

impl Load {
    pub(crate) fn add(&mut self, share: &Share) {
        self.meetings += share.meetings;
        self.people = self.people.saturating_add(share.people);
        self.expected_m += share.expected_m;
        self.cost_m += share.cost_m;
        self.giants_m += share.giants_m;
    }

    pub(crate) fn take(&mut self, share: &Share) {
        self.meetings = self.meetings.saturating_sub(share.meetings);
        self.people = self.people.saturating_sub(share.people);
        self.expected_m = self.expected_m.saturating_sub(share.expected_m);
        self.cost_m = self.cost_m.saturating_sub(share.cost_m);
        self.giants_m = self.giants_m.saturating_sub(share.giants_m);
    }

    /// People there, and those still expected.
    pub fn expected(&self) -> f64 {
        self.expected_m as f64 / 1000.0
    }

    /// What they all cost.
    pub fn cost(&self) -> f64 {
        self.cost_m as f64 / 1000.0
    }

    /// People expected in giants.
    pub fn giants(&self) -> f64 {
        self.giants_m as f64 / 1000.0
    }

    /// Whether a meeting that adds `share` still fits within `capacity`.
    pub fn leaves_room(&self, capacity: &Capacity, share: &Share) -> bool {
        let meetings = capacity.meetings.is_none_or(|max| self.meetings < max);
        let people = capacity
            .people
            .is_none_or(|max| self.expected_m + share.expected_m <= u64::from(max) * 1000);
        meetings && people
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEIGHTS: Weights = Weights {
        meeting: 2.0,
        voice: 0.4,
        video: 0.05,
        cameras_max: 10,
        giant: 100,
        two_giants: 1.0,
    };

    #[track_caller]
    fn check(people: u32, voice: u32, listeners: u32, cameras: u32, expected: f64, cost: f64) {
        let crowd = Crowd { people, voice, listeners, cameras };
        assert_eq!(WEIGHTS.share(&crowd, expected, 1.0).cost(), cost, "{crowd:?}");
    }

    #[test]
    fn people_voice_and_cameras_cost() {
        check(0, 0, 0, 0, 0.0, 2.0);
        check(10, 0, 0, 0, 10.0, 12.0);
        check(10, 0, 0, 0, 25.5, 27.5);
        // Never fewer than are there.
        check(10, 0, 0, 0, 3.0, 12.0);
        check(10, 5, 4, 0, 10.0, 12.0 + 2.4);
        // Viewers times cameras, and those who are still to come will see them, too.
        check(10, 0, 0, 2, 20.0, 22.0 + 2.0);
        check(10, 0, 0, 99, 20.0, 22.0 + 10.0);
    }

    #[test]
    fn rooms_add_sound_and_cameras_and_no_people() {
        let crowd = Crowd { people: 4, voice: 4, listeners: 0, cameras: 2 };
        let mut load = Load::default();
        load.add(&WEIGHTS.share_of_room(&crowd));
        assert_eq!((load.meetings, load.people, load.expected()), (0, 0, 0.0));
        assert_eq!(load.cost(), 2.0 + 0.4 + 1.6);
    }

    #[test]
    fn what_is_taken_out_is_what_was_put_in() {
        let shares: Vec<Share> = (0..1000)
            .map(|n| {
                WEIGHTS.share(&Crowd { people: n, ..Crowd::default() }, f64::from(n) * 1.1, 1.0)
            })
            .collect();
        let mut load = Load::default();
        for share in &shares {
            load.add(share);
        }
        assert!(load.giants() > 0.0);
        for share in &shares {
            load.take(share);
        }
        assert_eq!(load, Load::default());
    }

    #[test]
    fn capacity_is_not_exceeded_by_one() {
        let capacity = |people, meetings| Capacity { people, meetings };
        let mut load = Load::default();
        load.add(&WEIGHTS.share(&Crowd::default(), 90.0, 0.1));
        let fits = |capacity, expected| {
            load.leaves_room(&capacity, &WEIGHTS.share(&Crowd::default(), expected, 0.1))
        };
        assert!(fits(capacity(None, None), 1e6));
        assert!(fits(capacity(Some(100), None), 10.0));
        assert!(!fits(capacity(Some(100), None), 10.01));
        assert!(fits(capacity(None, Some(2)), 10.0));
        assert!(!fits(capacity(None, Some(1)), 10.0));
        assert!(!fits(capacity(Some(100), Some(1)), 1.0));
    }
}
