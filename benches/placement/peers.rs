//! Models of how others place, from their formulas: Scalelite (1.8.5), BBBLB as it runs and as it is meant, B3LB.
//! What they are told is what they would see: their own polls, creates and joins.

use std::collections::HashMap;

use tinyscale::replay::random::Random;
use tinyscale::replay::{Balancer, Room};

/// A load for each server; a poll replaces it, creates and joins add to it.
pub(crate) struct Peer {
    formula: Formula,
    loads: Vec<f64>,
    at: HashMap<usize, usize>,
    random: Random,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Formula {
    /// Participants and moderators; at least 15 for the first 15 minutes; 1 for each create and join.
    Scalelite,
    /// 5 for a meeting, 20 seats reserved over half an hour. `decays`: as documented; otherwise as it runs,
    /// where the age is always 0.
    Bbblb { decays: bool },
    /// 30 for a meeting and 1 for an attendee; without the CPU term, for which there is no CPU here.
    B3lb,
}

impl Peer {
    pub(crate) fn new(formula: Formula, servers: usize, seed: u64) -> Self {
        let (loads, at, random) = (vec![0.0; servers], HashMap::new(), Random::new(seed));
        Self { formula, loads, at, random }
    }

    fn load_of(&self, room: &Room<'_>, now_ms: u64) -> f64 {
        let people = f64::from(room.people);
        let age_s = now_ms.saturating_sub(room.created_ms) as f64 / 1000.0;
        match self.formula {
            Formula::Scalelite => {
                // Whoever opened the room moderates it, and is counted twice.
                let load = people + f64::from(room.people.min(1));
                if age_s < 900.0 { load.max(15.0) } else { load }
            }
            Formula::Bbblb { decays } => {
                let age_s = if decays { age_s } else { 0.0 };
                bbblb(people, people, f64::from(room.cameras), age_s)
            }
            Formula::B3lb => 30.0 + people,
        }
    }
}

fn bbblb(people: f64, voice: f64, video: f64, age_s: f64) -> f64 {
    const COOLDOWN_S: f64 = 30.0 * 60.0;
    let ghosts = if age_s < COOLDOWN_S { 20.0 * (1.0 - age_s / COOLDOWN_S) } else { 0.0 };
    5.0 + people + 0.5 * voice + 0.5 * video + ghosts + 0.5 * ghosts + 0.5 * 0.1 * ghosts
}

impl Balancer for Peer {
    fn create(&mut self, meeting: usize, _: &str, _: u32, _: u64) -> Option<usize> {
        let least = self.loads.iter().copied().fold(f64::INFINITY, f64::min);
        let equal: Vec<usize> =
            (0..self.loads.len()).filter(|server| self.loads[*server] <= least).collect();
        let server = match self.formula {
            Formula::B3lb => equal[self.random.below(equal.len() as u64) as usize],
            Formula::Scalelite | Formula::Bbblb { .. } => equal[0],
        };
        self.loads[server] += match self.formula {
            Formula::Scalelite => 1.0,
            Formula::Bbblb { .. } => bbblb(2.0, 2.0, 2.0, 0.0),
            Formula::B3lb => 31.0,
        };
        self.at.insert(meeting, server);
        Some(server)
    }

    fn join(&mut self, meeting: usize, _: &str, _: u64) {
        if let Some(server) = self.at.get(&meeting)
            && self.formula != Formula::B3lb
        {
            self.loads[*server] += 1.0;
        }
    }

    fn poll(&mut self, server: usize, rooms: &[Room<'_>], now_ms: u64) {
        self.loads[server] = rooms.iter().map(|room| self.load_of(room, now_ms)).sum();
    }
}
