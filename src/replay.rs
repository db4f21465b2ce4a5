//! A day again: the placement that runs in production, over a trace, in virtual time, without a network. Also for
//! other ways to place, so that they can be compared on the same day.
//!
//! Servers are perfect here: they answer every poll and every create at once.

pub mod chart;
pub mod log;
pub mod ours;
pub mod random;
pub mod report;
pub mod trace;
pub mod world;

use std::collections::BTreeSet;

use crate::replay::random::Random;
use crate::replay::trace::Trace;
use crate::replay::world::{Outcome, World};

/// What decides where meetings go.
pub trait Balancer {
    /// A create of the meeting called `name`: the server it goes to, or `None` if it is refused. `meeting` is
    /// the place of the name in the trace; `incarnation` is new for each time that the meeting is made.
    fn create(
        &mut self,
        meeting: usize,
        name: &str,
        incarnation: u32,
        now_ms: u64,
    ) -> Option<usize>;

    /// One person was sent to the meeting.
    fn join(&mut self, meeting: usize, name: &str, now_ms: u64);

    /// The server told its meetings.
    fn poll(&mut self, server: usize, rooms: &[Room<'_>], now_ms: u64);
}

/// A running meeting as its server tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room<'t> {
    /// Its place among the names of the trace.
    pub meeting: usize,
    /// Its name.
    pub name: &'t str,
    /// Which of the meetings of that name it is.
    pub incarnation: u32,
    /// When it was made.
    pub created_ms: u64,
    /// Who is there.
    pub people: u32,
    /// Published cameras.
    pub cameras: u32,
}

/// How a trace is run.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// How many servers there are.
    pub servers: usize,
    /// Time between two polls of a server.
    pub poll_interval_ms: u64,
    /// Servers are polled at moments that follow from it.
    pub seed: u64,
    /// People before this moment do not count for peaks.
    pub measured_from_ms: u64,
}

/// Runs `trace`: its events in order, and the polls of each server in between.
pub fn run(trace: &Trace, setup: &Setup, balancer: &mut dyn Balancer) -> Outcome {
    let mut world = World::new(trace, setup);
    let mut polls = Polls::new(setup, trace.events.first().map_or(0, |event| event.at_ms));
    for event in &trace.events {
        while let Some((at_ms, server)) = polls.before(event.at_ms, world.is_quiet()) {
            world.poll(server, at_ms, balancer);
        }
        world.happen(event, balancer);
    }
    world.finish()
}

/// When each server is polled next.
struct Polls {
    next: BTreeSet<(u64, usize)>,
    /// How often each was polled since all meetings were over.
    quiet: Vec<u64>,
    random: Random,
    interval_ms: u64,
}

/// Polls after which a balancer knows that all meetings are over.
const QUIET_POLLS: u64 = 5;

impl Polls {
    fn new(setup: &Setup, start_ms: u64) -> Self {
        let mut random = Random::new(setup.seed);
        let interval_ms = setup.poll_interval_ms.max(1);
        let next = (0..setup.servers)
            .map(|server| (start_ms.saturating_sub(random.below(interval_ms)), server))
            .collect();
        Self { next, quiet: vec![0; setup.servers], random, interval_ms }
    }

    /// The next poll that is due before `ms`.
    fn before(&mut self, ms: u64, quiet: bool) -> Option<(u64, usize)> {
        let (at_ms, server) = *self.next.first()?;
        if at_ms >= ms {
            return None;
        }
        self.next.pop_first();
        let count = self.quiet.get_mut(server)?;
        *count = if quiet { *count + 1 } else { 0 };
        // Passes over nights and holidays.
        let resume_ms = if *count > QUIET_POLLS {
            ms.saturating_sub(self.interval_ms * QUIET_POLLS + self.random.below(self.interval_ms))
        } else {
            0
        };
        // Spread as in production.
        let pause_ms = self.interval_ms * 9 / 10 + self.random.below(self.interval_ms / 5 + 1);
        self.next.insert(((at_ms + pause_ms.max(1)).max(resume_ms), server));
        Some((at_ms, server))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cluster::placement::Policy;
    use crate::cluster::placement::capacity::Capacity;
    use crate::cluster::server::ServerSpec;
    use crate::config::settings::{BalanceSettings, ProbeSettings};
    use crate::replay::ours::{Ours, specs};
    use crate::replay::trace::HEADER;

    fn replay(lines: &str, policy: Policy, capacity: Capacity) -> (Trace, Outcome) {
        let trace = Trace::parse(&format!("{HEADER}\n{lines}"), Path::new("t.csv")).unwrap();
        let specs = specs(2).into_iter().map(|spec| ServerSpec { capacity, ..spec });
        let balance = BalanceSettings { policy, ..BalanceSettings::default() };
        let mut ours = Ours::new(specs, &balance, &ProbeSettings::default());
        let setup = Setup { servers: 2, poll_interval_ms: 5_000, seed: 1, measured_from_ms: 0 };
        let outcome = run(&trace, &setup, &mut ours);
        ours.cluster().meetings().check_invariants();
        (trace, outcome)
    }

    const DAY: &str = "0,create,a,,\n1,join,a,40,2\n2,create,b,,\n2,join,b,3,0\n3,create,a,,\n\
        60,leave,a,50,9\n60,join,nobody,4,0\n61,end,a,,\n100000,create,c,,\n100001,join,c,5,0\n";

    #[test]
    fn what_happened_is_recorded_as_it_was() {
        let (trace, outcome) = replay(DAY, Policy::ExpectedLoad, Capacity::default());
        let names = ["bbb1".to_owned(), "bbb2".to_owned()];
        let decisions = report::decisions_csv(&trace, &names, &outcome);
        insta::assert_snapshot!(decisions, @r"
        time_s,meeting,server
        0,a,bbb1
        2,b,bbb2
        3,a,bbb1
        100000,c,bbb1
        ");
        insta::assert_snapshot!(report::load_csv(&names, &outcome), @r"
        time_s,server,people,meetings
        0,bbb1,0,1
        0,bbb2,0,0
        1,bbb1,40,1
        2,bbb2,3,1
        60,bbb1,0,1
        61,bbb1,0,0
        100000,bbb1,0,1
        100001,bbb1,5,1
        ");
        assert_eq!((outcome.peak.people, outcome.peak.server), (40, 0));
        assert_eq!((outcome.peaks.as_slice(), outcome.joins_refused), ([40, 3].as_slice(), 4));
        assert_eq!(outcome.even, 21.5);
    }

    #[test]
    fn the_same_seed_gives_the_same_day() {
        for policy in Policy::ALL {
            let run = || replay(DAY, policy, Capacity::default());
            assert_eq!(run(), run());
        }
    }

    #[test]
    fn meetings_that_do_not_fit_are_refused() {
        let capacity = Capacity { people: None, meetings: Some(1) };
        let lines =
            "0,create,a,,\n0,create,b,,\n0,create,c,,\n0,join,c,1,0\n9,end,a,,\n60,create,c,,\n";
        let (_, outcome) = replay(lines, Policy::ExpectedLoad, capacity);
        let servers: Vec<_> = outcome.decisions.iter().map(|placed| placed.server).collect();
        assert_eq!(servers, [Some(0), Some(1), None, Some(0)]);
        assert_eq!((outcome.creates_refused, outcome.joins_refused), (1, 1));
    }
}
