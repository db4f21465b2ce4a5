//! Which server a new meeting goes to, behind one small interface: a policy sees the servers that may take it
//! and ranks them. Knows nothing of claims, health or calls.

pub mod capacity;
pub mod cost;
pub mod expectation;
pub mod expected_load;
pub mod explain;
pub mod foresight;
pub mod least_meetings;
pub mod lifetimes;
pub mod round_robin;
pub mod sizes;
pub mod tags;

use crate::cluster::placement::cost::Load;
use crate::cluster::placement::expected_load::ExpectedLoad;
use crate::cluster::placement::least_meetings::LeastMeetings;
use crate::cluster::placement::round_robin::RoundRobin;
use crate::cluster::server::ServerId;

/// The policies that operators can choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// The server with the least expected load.
    #[default]
    ExpectedLoad,
    /// Each usable server in turn, as the first tinyscale promised.
    RoundRobin,
    /// The server with the fewest meetings.
    LeastMeetings,
}

impl Policy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ExpectedLoad, Self::RoundRobin, Self::LeastMeetings];

    /// What operators call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExpectedLoad => "expected_load",
            Self::RoundRobin => "round_robin",
            Self::LeastMeetings => "least_meetings",
        }
    }

    /// The policy that operators call `name`.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }

    /// One to place with; `two_giants` is how many times a giant's people count against a server for another
    /// giant.
    pub fn placement(self, two_giants: f64) -> Box<dyn Placement> {
        match self {
            Self::ExpectedLoad => Box::new(ExpectedLoad { two_giants }),
            Self::RoundRobin => Box::new(RoundRobin::default()),
            Self::LeastMeetings => Box::new(LeastMeetings),
        }
    }
}

/// A server that may take a new meeting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Which.
    pub server: ServerId,
    /// Its share relative to the others, above 0.
    pub weight: f64,
    /// How far its slow start has come: above 0, 1 when it is over.
    pub warmth: f64,
    /// What its meetings amount to, reservations included.
    pub load: Load,
}

/// The meeting to place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Newcomer {
    /// What it is expected to cost.
    pub cost: f64,
    /// Whether it is expected to be a giant.
    pub giant: bool,
}

/// A server and how a policy rates it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rated {
    /// Which.
    pub server: ServerId,
    /// Lower is better; what it measures depends on the policy.
    pub score: f64,
}

/// The best servers of a choice, best first: the chosen one and the two that would have been next.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ranking {
    places: [Option<(Rated, u32)>; 3],
}

impl Ranking {
    /// Takes `rated` in if it is among the best; among equal scores fewer `meetings`, then whoever came first.
    pub fn enter(&mut self, rated: Rated, meetings: u32) {
        let mut entering = Some((rated, meetings));
        for place in &mut self.places {
            let better = match (&entering, &*place) {
                (Some((new, count)), Some((old, old_count))) => {
                    (new.score, count) < (old.score, old_count)
                }
                (entering, _) => entering.is_some(),
            };
            if better {
                std::mem::swap(place, &mut entering);
            }
        }
    }

    /// The chosen one.
    pub fn best(&self) -> Option<Rated> {
        self.rated().next()
    }

    /// All of them, best first.
    pub fn rated(&self) -> impl Iterator<Item = Rated> {
        self.places.iter().flatten().map(|(rated, _)| *rated)
    }
}

/// A policy.
pub trait Placement: Send {
    /// The best of `candidates`, which are in a stable order; nobody only if there are none. The first is
    /// taken.
    fn choose(&mut self, new: &Newcomer, candidates: &[Candidate]) -> Ranking;

    /// Why it chooses as it does, in a few words for the log.
    fn reason(&self) -> &'static str;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_three_in_order_and_equals_by_meetings_then_order() {
        let mut ranking = Ranking::default();
        for (server, score, meetings) in
            [(0, 5.0, 0), (1, 3.0, 2), (2, 3.0, 1), (3, 9.0, 0), (4, 3.0, 1)]
        {
            ranking.enter(Rated { server: ServerId(server), score }, meetings);
        }
        let order: Vec<u32> = ranking.rated().map(|rated| rated.server.0).collect();
        assert_eq!(order, [2, 4, 1]);
    }

    #[test]
    fn policies_are_found_by_their_names() {
        for policy in Policy::ALL {
            assert_eq!(Policy::of_name(policy.name()), Some(policy));
        }
        assert_eq!(Policy::of_name("random"), None);
    }
}
