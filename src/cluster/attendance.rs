//! Who is in a meeting, from polls and from the joins that pass through. Polls count; a join counts from when it
//! passes until a poll shows it, or until it is clear that nobody came of it.

use std::time::Duration;

use crate::bbb::meetings::SeenMeeting;
use crate::cluster::moment::Moment;
use crate::cluster::placement::cost::Crowd;
use crate::cluster::placement::expectation::{Milestones, Prior};

/// Loading the client takes this long at most, or was given up.
const ON_THE_WAY_MAX: Duration = Duration::from_secs(30);

/// The people of one meeting.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attendance {
    /// At the last poll.
    polled: Crowd,
    /// Joins that no poll has shown yet, and when the last of them passed.
    on_the_way: u32,
    last_join: Moment,
    peak: u32,
    milestones: Milestones,
    /// When it began, if that is known.
    born: Option<Moment>,
    /// What was believed of it, while people are still expected.
    prior: Option<Prior>,
}

impl Attendance {
    /// Of a meeting that begins now.
    pub fn beginning(prior: Prior, now: Moment) -> Self {
        Self { born: Some(now), prior: Some(prior), ..Self::default() }
    }

    /// Somebody was sent there.
    pub fn join(&mut self, now: Moment) {
        self.on_the_way = self.on_the_way.saturating_add(1);
        self.last_join = now;
    }

    /// The server, asked at `asked`, said who is there.
    pub fn polled(&mut self, seen: &SeenMeeting, asked: Moment, now: Moment) {
        let before = self.crowd().people;
        let came = seen.people.saturating_sub(self.polled.people);
        self.on_the_way = self.on_the_way.saturating_sub(came);
        if asked.since(self.last_join) >= ON_THE_WAY_MAX {
            self.on_the_way = 0;
        }
        self.polled = Crowd {
            people: seen.people,
            voice: seen.voice,
            listeners: seen.listeners,
            cameras: seen.cameras,
        };
        self.peak = self.peak.max(seen.people);
        if let Some(born) = self.born {
            let matured = self.milestones.pass(now.since(born), before.max(seen.people));
            if matured {
                self.prior = None;
            }
        }
    }

    /// Who is there or on the way.
    pub fn crowd(&self) -> Crowd {
        Crowd { people: self.polled.people.saturating_add(self.on_the_way), ..self.polled }
    }

    /// People at the last poll.
    pub fn people(&self) -> u32 {
        self.polled.people
    }

    /// The most people a poll has shown.
    pub fn peak(&self) -> u32 {
        self.peak
    }

    pub(crate) fn milestones(&self) -> &Milestones {
        &self.milestones
    }

    pub(crate) fn young(&self) -> Option<(Moment, &Prior)> {
        Some((self.born?, self.prior.as_ref()?))
    }

    /// When it began, if that is known.
    pub fn born(&self) -> Option<Moment> {
        self.born
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::testing::seen;

    #[test]
    fn a_join_counts_until_a_poll_shows_it() {
        let people = |count| SeenMeeting { people: count, ..seen("m", "i-1") };
        let mut attendance = Attendance::default();
        for at in 0..5 {
            attendance.join(Moment(at));
        }
        let now = Moment(1_000);
        assert_eq!(attendance.crowd().people, 5);
        attendance.polled(&people(0), now, now);
        assert_eq!(attendance.crowd().people, 5, "still loading");
        attendance.polled(&people(3), now, now);
        assert_eq!(attendance.crowd().people, 5, "three have come");
        attendance.polled(&people(6), now, now);
        assert_eq!(attendance.crowd().people, 6);
        assert_eq!((attendance.peak(), attendance.people()), (6, 6));
    }

    #[test]
    fn those_who_do_not_come_are_forgotten() {
        let mut attendance = Attendance::default();
        attendance.join(Moment(0));
        let later = Moment(30_000);
        attendance.polled(&SeenMeeting { people: 0, ..seen("m", "i-1") }, later, later);
        assert_eq!(attendance.crowd().people, 0);
    }
}
