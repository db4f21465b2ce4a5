//! What probes and traffic make of a server, with hysteresis both ways: one failure makes it `Suspect`, several
//! in a row `Down`, several good probes in a row bring it back. Says nothing about meetings: a failed
//! observation changes eligibility, never what is known (design rule 1).

use std::fmt;
use std::time::Duration;

use crate::cluster::moment::Moment;

/// What probes see, independent of what operators set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Answers; takes new meetings.
    Up,
    /// Failed just now; keeps its meetings, takes new ones only if no server is `Up`.
    Suspect,
    /// Does not answer.
    Down,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::Suspect => "suspect",
            Self::Down => "down",
        })
    }
}

/// How many observations in a row it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hysteresis {
    /// Failures that make a server `Down`.
    pub down_after: u32,
    /// Successes that bring it back from `Down`.
    pub up_after: u32,
}

/// Health over time.
#[derive(Debug, Clone)]
pub struct Pulse {
    health: Health,
    since: Moment,
    back: Moment,
    failures: u32,
    successes: u32,
    ever_seen: bool,
    /// How often it went down again soon after it was back.
    relapses: u32,
    /// An operator says that it will not come back.
    given_up: bool,
}

/// A server that goes down again within this time was not well.
const STEADY_AFTER: Duration = Duration::from_secs(600);
/// Each relapse doubles the good probes that it takes to be trusted again, up to 16 times as many.
const RELAPSES_MAX: u32 = 4;

/// A change worth telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Before.
    pub from: Health,
    /// After.
    pub to: Health,
}

impl Pulse {
    /// Of a server nobody has asked yet: `Down` until its first good answer.
    pub fn unknown(now: Moment) -> Self {
        Self {
            health: Health::Down,
            since: now,
            back: now,
            failures: 0,
            successes: 0,
            ever_seen: false,
            relapses: 0,
            given_up: false,
        }
    }

    /// The health now.
    pub fn health(&self) -> Health {
        self.health
    }

    /// Since when it has been that.
    pub fn since(&self) -> Moment {
        self.since
    }

    /// Since when it has not been `Down`; meaningless while it is.
    pub fn back(&self) -> Moment {
        self.back
    }

    /// Whether the server has ever answered.
    pub fn was_ever_seen(&self) -> bool {
        self.ever_seen
    }

    /// An operator says that it will not come back; false if it is not `Down`.
    pub fn give_up(&mut self) -> bool {
        self.given_up = self.health == Health::Down;
        self.given_up
    }

    /// Whether an operator said so, and it has not answered since.
    pub fn is_given_up(&self) -> bool {
        self.given_up
    }

    /// A probe was answered as BBB answers.
    pub fn good(&mut self, rule: Hysteresis, now: Moment) -> Option<Change> {
        self.failures = 0;
        self.successes = self.successes.saturating_add(1);
        let first = !std::mem::replace(&mut self.ever_seen, true);
        let enough = rule.up_after.saturating_mul(1 << self.relapses);
        let back = self.health != Health::Down || first || self.successes >= enough;
        self.become_(if back { Health::Up } else { Health::Down }, now)
    }

    /// A probe failed.
    pub fn bad(&mut self, rule: Hysteresis, now: Moment) -> Option<Change> {
        self.successes = 0;
        self.failures = self.failures.saturating_add(1);
        let down = self.health == Health::Down || self.failures >= rule.down_after;
        self.become_(if down { Health::Down } else { Health::Suspect }, now)
    }

    /// Traffic found the server refusing: enough to avoid it at once, but only probes make it `Down`, because
    /// a burst of calls meets the same hiccup many times.
    pub fn refused(&mut self, now: Moment) -> Option<Change> {
        self.successes = 0;
        let down = self.health == Health::Down;
        self.become_(if down { Health::Down } else { Health::Suspect }, now)
    }

    fn become_(&mut self, to: Health, now: Moment) -> Option<Change> {
        let from = std::mem::replace(&mut self.health, to);
        (from != to).then(|| {
            self.since = now;
            self.given_up = false;
            if from == Health::Down {
                self.back = now;
            }
            if to == Health::Down {
                let soon = now.since(self.back) < STEADY_AFTER;
                self.relapses = if soon { (self.relapses + 1).min(RELAPSES_MAX) } else { 0 };
            }
            Change { from, to }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Hysteresis = Hysteresis { down_after: 3, up_after: 2 };

    #[track_caller]
    fn check(observations: &str, expected: Health) {
        let mut pulse = Pulse::unknown(Moment(0));
        for (at, observation) in (1..).zip(observations.chars()) {
            let _ = match observation {
                '+' => pulse.good(RULE, Moment(at)),
                'r' => pulse.refused(Moment(at)),
                _ => pulse.bad(RULE, Moment(at)),
            };
        }
        assert_eq!(pulse.health(), expected, "{observations}");
    }

    #[test]
    fn it_takes_several_of_the_same() {
        check("", Health::Down);
        check("+", Health::Up);
        check("+-", Health::Suspect);
        check("+-+", Health::Up);
        check("+--", Health::Suspect);
        check("+---", Health::Down);
        check("+---+", Health::Down);
        check("+---+-+", Health::Down);
        check("+---++", Health::Up);
        check("-+", Health::Up);
    }

    #[test]
    fn refusals_in_traffic_make_it_suspect_and_no_more() {
        check("+rrrrr", Health::Suspect);
        check("+rr-", Health::Suspect);
        check("+rr+", Health::Up);
        check("+---+r+", Health::Down);
        check("r", Health::Down);
    }

    #[test]
    fn down_is_measured_from_the_change() {
        let mut pulse = Pulse::unknown(Moment(0));
        let _ = pulse.good(RULE, Moment(10));
        for at in 11..20 {
            let _ = pulse.bad(RULE, Moment(at));
        }
        assert_eq!(pulse.since(), Moment(13));
    }
    #[test]
    fn a_hiccup_does_not_count_as_coming_back() {
        let mut pulse = Pulse::unknown(Moment(0));
        let _ = pulse.good(RULE, Moment(10));
        let _ = pulse.bad(RULE, Moment(20));
        let _ = pulse.good(RULE, Moment(30));
        assert_eq!((pulse.since(), pulse.back()), (Moment(30), Moment(10)));
        for at in 40..43 {
            let _ = pulse.bad(RULE, Moment(at));
        }
        let _ = pulse.good(RULE, Moment(50));
        let _ = pulse.good(RULE, Moment(60));
        assert_eq!(pulse.back(), Moment(60));
    }

    #[test]
    fn who_goes_down_again_and_again_is_trusted_later_and_later() {
        let mut pulse = Pulse::unknown(Moment(0));
        pulse.good(RULE, Moment(1));
        let mut now = 2;
        // Goes down, and counts how many good answers it takes to come back.
        let mut fall = |pulse: &mut Pulse, after_s: u64| {
            now += after_s * 1000;
            for _ in 0..RULE.down_after {
                pulse.bad(RULE, Moment(now));
            }
            (1..100).find(|_| pulse.good(RULE, Moment(now)).is_some()).unwrap()
        };
        let up_after = RULE.up_after as usize;
        assert_eq!(fall(&mut pulse, 700), up_after, "it was well for long enough");
        let counts: Vec<usize> = (0..6).map(|_| fall(&mut pulse, 30)).collect();
        assert_eq!(counts, [2, 4, 8, 16, 16, 16].map(|times| times * up_after));
        assert_eq!(fall(&mut pulse, 700), up_after, "that is forgotten after ten good minutes");
    }

    #[test]
    fn only_who_is_down_can_be_given_up_until_it_answers() {
        let mut pulse = Pulse::unknown(Moment(0));
        pulse.good(RULE, Moment(1));
        assert!(!pulse.give_up() && !pulse.is_given_up());
        for _ in 0..RULE.down_after {
            pulse.bad(RULE, Moment(2));
        }
        assert!(pulse.give_up() && pulse.is_given_up());
        pulse.bad(RULE, Moment(3));
        assert!(pulse.is_given_up());
        (0..100).find(|_| pulse.good(RULE, Moment(4)).is_some()).unwrap();
        assert!(!pulse.is_given_up());
    }
}
