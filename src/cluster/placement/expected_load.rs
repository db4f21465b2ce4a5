//! The server with the least load once everybody who is expected has come, for its weight (design section 4):
//! what its meetings cost, what the new one will, and, for a giant, once more the giants that are there.

use crate::cluster::placement::{Candidate, Newcomer, Placement, Ranking, Rated};

/// The policy.
#[derive(Debug, Clone, Copy)]
pub struct ExpectedLoad {
    /// How many times a giant's people count against a server for another giant.
    pub two_giants: f64,
}

impl Placement for ExpectedLoad {
    fn choose(&mut self, new: &Newcomer, candidates: &[Candidate]) -> Ranking {
        let mut ranking = Ranking::default();
        for candidate in candidates {
            let load = &candidate.load;
            // The people of a giant act all at once, and its one process on the server is the bottleneck.
            let giants = if new.giant { self.two_giants * load.giants() } else { 0.0 };
            let score = (load.cost() + new.cost + giants) / (candidate.weight * candidate.warmth);
            ranking.enter(Rated { server: candidate.server, score }, load.meetings);
        }
        ranking
    }

    fn reason(&self) -> &'static str {
        "least expected load"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::placement::cost::{Load, Share};
    use crate::cluster::server::ServerId;

    fn candidate(server: u32, cost: f64, giants: f64) -> Candidate {
        let mut load = Load::default();
        load.add(&Share::new(0, 0.0, cost, giants));
        Candidate { server: ServerId(server), weight: 1.0, warmth: 1.0, load }
    }

    #[track_caller]
    fn check(giant: bool, candidates: &[Candidate], expected: u32) {
        let new = Newcomer { cost: 20.0, giant };
        let mut policy = ExpectedLoad { two_giants: 1.0 };
        assert_eq!(policy.choose(&new, candidates).best().unwrap().server.0, expected);
    }

    #[test]
    fn the_least_cost_for_its_weight_wins() {
        let even = [candidate(0, 50.0, 0.0), candidate(1, 40.0, 0.0)];
        check(false, &even, 1);
        let heavy = [Candidate { weight: 2.0, ..even[0] }, even[1]];
        check(false, &heavy, 0);
    }

    #[test]
    fn a_server_that_just_came_back_is_not_flooded() {
        let warm = candidate(0, 150.0, 0.0);
        let cold = |warmth| Candidate { warmth, ..candidate(1, 0.0, 0.0) };
        check(false, &[warm, cold(0.1)], 0);
        check(false, &[warm, cold(0.2)], 1);
    }

    #[test]
    fn giants_keep_apart_and_others_do_not_care() {
        let servers = [candidate(0, 110.0, 100.0), candidate(1, 150.0, 0.0)];
        check(false, &servers, 0);
        check(true, &servers, 1);
    }
}
