//! Each server in turn, heavier ones more often and spread out (smooth weighted round robin): every choice
//! credits each candidate its weight, takes the one with the most credit and charges it the sum. Looks at
//! nothing but weights.

use crate::cluster::placement::{Candidate, Newcomer, Placement, Ranking, Rated};

/// The policy.
#[derive(Debug, Default)]
pub struct RoundRobin {
    /// By number of the server. Who is no candidate keeps what it has: creates with different tags have
    /// different candidates, and take turns among theirs.
    credit: Vec<f64>,
}

/// Credits that differ by less are equal: sums of weights are not exact.
const EQUAL: f64 = 1e9;

impl Placement for RoundRobin {
    fn choose(&mut self, _new: &Newcomer, candidates: &[Candidate]) -> Ranking {
        let mut ranking = Ranking::default();
        let mut total = 0.0;
        for candidate in candidates {
            let index = candidate.server.0 as usize;
            if self.credit.len() <= index {
                self.credit.resize(index + 1, 0.0);
            }
            let credit = &mut self.credit[index];
            *credit += candidate.weight;
            total += candidate.weight;
            let score = -(*credit * EQUAL).round() / EQUAL;
            // Equals wait their turn in order.
            ranking.enter(Rated { server: candidate.server, score }, 0);
        }
        if let Some(chosen) = ranking.best()
            && let Some(credit) = self.credit.get_mut(chosen.server.0 as usize)
        {
            *credit -= total;
        }
        ranking
    }

    fn reason(&self) -> &'static str {
        "its turn"
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cluster::placement::cost::Load;
    use crate::cluster::server::ServerId;

    const NEW: Newcomer = Newcomer { cost: 1.0, giant: false };

    fn candidates(weights: &[f64]) -> Vec<Candidate> {
        let candidate = |(id, &weight): (u32, &f64)| Candidate {
            server: ServerId(id),
            weight,
            warmth: 1.0,
            load: Load::default(),
        };
        (0..).zip(weights).map(candidate).collect()
    }

    fn choose(policy: &mut RoundRobin, candidates: &[Candidate]) -> u32 {
        policy.choose(&NEW, candidates).best().unwrap().server.0
    }

    #[track_caller]
    fn check(weights: &[f64], expected: &[u32]) {
        let mut policy = RoundRobin::default();
        let servers = candidates(weights);
        let chosen: Vec<u32> = expected.iter().map(|_| choose(&mut policy, &servers)).collect();
        assert_eq!(chosen, expected);
    }

    #[test]
    fn equal_servers_take_turns() {
        check(&[1.0, 1.0, 1.0], &[0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn heavier_servers_come_more_often_and_spread_out() {
        check(&[2.0, 1.0, 1.0], &[0, 1, 2, 0, 0, 1, 2, 0]);
    }

    #[test]
    fn nobody_is_chosen_from_nobody() {
        assert_eq!(RoundRobin::default().choose(&NEW, &[]).best(), None);
    }

    #[test]
    fn a_server_that_comes_back_does_not_catch_up() {
        let mut policy = RoundRobin::default();
        let all = candidates(&[1.0, 1.0]);
        for _ in 0..100 {
            assert_eq!(choose(&mut policy, &all[..1]), 0);
        }
        let next: Vec<_> = (0..4).map(|_| choose(&mut policy, &all)).collect();
        assert_eq!(next, [0, 1, 0, 1]);
    }

    #[test]
    fn creates_with_different_tags_take_turns_among_their_own_servers() {
        let mut policy = RoundRobin::default();
        let all = candidates(&[1.0, 1.0, 1.0, 1.0]);
        let chosen: Vec<_> = (0..8)
            .map(|n| choose(&mut policy, if n % 2 == 0 { &all[..2] } else { &all[2..] }))
            .collect();
        assert_eq!(chosen, [0, 2, 1, 3, 0, 2, 1, 3]);
    }

    #[test]
    fn credit_stays_bounded_however_candidates_change() {
        let mut policy = RoundRobin::default();
        let all = candidates(&[1.0, 3.0, 0.5, 2.0, 1.0, 1.0]);
        for n in 0..10_000_usize {
            let (from, to) = (n * 7 % 5, 2 + n * 11 % 5);
            choose(&mut policy, &all[from.min(to - 1)..to]);
        }
        assert!(policy.credit.iter().all(|credit| credit.abs() < 20.0), "{:?}", policy.credit);
    }

    proptest! {
        #[test]
        fn shares_follow_weights(weights in prop::collection::vec(1_u8..10, 1..8)) {
            let weights: Vec<f64> = weights.into_iter().map(f64::from).collect();
            let total: f64 = weights.iter().sum();
            let servers = candidates(&weights);
            let mut policy = RoundRobin::default();
            let mut count = vec![0.0; weights.len()];
            for _ in 0..total as usize {
                count[choose(&mut policy, &servers) as usize] += 1.0;
            }
            prop_assert_eq!(count, weights);
        }
    }
}
