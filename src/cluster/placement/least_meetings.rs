//! The server with the fewest meetings for its weight, those under way counted. Knows nothing of people.

use crate::cluster::placement::{Candidate, Newcomer, Placement, Ranking, Rated};

/// The policy.
#[derive(Debug, Clone, Copy, Default)]
pub struct LeastMeetings;

impl Placement for LeastMeetings {
    fn choose(&mut self, _new: &Newcomer, candidates: &[Candidate]) -> Ranking {
        let mut ranking = Ranking::default();
        for candidate in candidates {
            let with_new = f64::from(candidate.load.meetings) + 1.0;
            let score = with_new / (candidate.weight * candidate.warmth);
            ranking.enter(Rated { server: candidate.server, score }, candidate.load.meetings);
        }
        ranking
    }

    fn reason(&self) -> &'static str {
        "fewest meetings"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::placement::cost::Load;
    use crate::cluster::server::ServerId;

    #[test]
    fn meetings_count_by_weight_and_slow_start() {
        let candidate = |server, meetings, weight, warmth| Candidate {
            server: ServerId(server),
            weight,
            warmth,
            load: Load { meetings, ..Load::default() },
        };
        let new = Newcomer { cost: 1.0, giant: false };
        let servers = [
            candidate(0, 3, 1.0, 1.0),
            candidate(1, 5, 2.0, 1.0),
            candidate(2, 0, 1.0, 0.1),
            candidate(3, 3, 1.0, 1.0),
        ];
        let order: Vec<u32> =
            LeastMeetings.choose(&new, &servers).rated().map(|rated| rated.server.0).collect();
        assert_eq!(order, [1, 0, 3]);
    }
}
