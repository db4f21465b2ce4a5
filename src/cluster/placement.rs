//! Which server a new meeting goes to, behind one small interface: a policy sees the servers that may take it
//! and names one. Knows nothing of claims, health or calls.

use std::collections::HashMap;

use crate::cluster::server::ServerId;

/// A server that may take a new meeting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Which.
    pub server: ServerId,
    /// Its share relative to the others, above 0.
    pub weight: f64,
}

/// A policy.
pub trait Placement: Send {
    /// One of `candidates`, which are in a stable order; `None` only if there are none.
    fn choose(&mut self, candidates: &[Candidate]) -> Option<ServerId>;
}

/// Each server in turn, heavier ones more often and spread out (smooth weighted round robin): every choice
/// credits each candidate its weight, takes the one with the most credit and charges it the sum.
#[derive(Debug, Default)]
pub struct RoundRobin {
    credit: HashMap<ServerId, f64>,
}

impl Placement for RoundRobin {
    fn choose(&mut self, candidates: &[Candidate]) -> Option<ServerId> {
        let total: f64 = candidates.iter().map(|candidate| candidate.weight).sum();
        // Credit of servers that are away does not pile up, nor does the map outgrow the cluster.
        self.credit.retain(|server, _| candidates.iter().any(|c| c.server == *server));
        let mut best: Option<(ServerId, f64)> = None;
        for candidate in candidates {
            let credit = self.credit.entry(candidate.server).or_default();
            *credit += candidate.weight;
            // Strictly more, so that among equals the first in order goes first and then waits its turn.
            if best.is_none_or(|(_, most)| *credit > most + f64::EPSILON) {
                best = Some((candidate.server, *credit));
            }
        }
        let (chosen, _) = best?;
        *self.credit.entry(chosen).or_default() -= total;
        Some(chosen)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidates(weights: &[f64]) -> Vec<Candidate> {
        (0..).zip(weights).map(|(id, &weight)| Candidate { server: ServerId(id), weight }).collect()
    }

    #[track_caller]
    fn check(weights: &[f64], expected: &[u32]) {
        let mut policy = RoundRobin::default();
        let servers = candidates(weights);
        let chosen: Vec<u32> =
            expected.iter().map(|_| policy.choose(&servers).unwrap().0).collect();
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
        assert_eq!(RoundRobin::default().choose(&[]), None);
    }

    #[test]
    fn a_server_that_comes_back_does_not_catch_up() {
        let mut policy = RoundRobin::default();
        let all = candidates(&[1.0, 1.0]);
        for _ in 0..100 {
            assert_eq!(policy.choose(&all[..1]).unwrap(), ServerId(0));
        }
        let next: Vec<_> = (0..4).map(|_| policy.choose(&all).unwrap().0).collect();
        assert_eq!(next, [0, 1, 0, 1]);
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
                count[policy.choose(&servers).unwrap().0 as usize] += 1.0;
            }
            prop_assert_eq!(count, weights);
        }
    }
}
