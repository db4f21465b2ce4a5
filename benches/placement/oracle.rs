//! Schedulers that know everything, to measure against: the sizes of all meetings, and the better ones also when
//! everybody comes and goes. The best of them is the denominator.

use std::collections::HashMap;

use tinyscale::replay::{Balancer, Room};

use crate::day::{Life, School};

/// Resolution of what the schedulers know of time.
const STEP_S: f64 = 20.0;

/// Decisions made before the day begins.
pub(crate) struct Plan(HashMap<usize, usize>);

impl Balancer for Plan {
    fn create(&mut self, meeting: usize, _: &str, _: u32, _: u64) -> Option<usize> {
        self.0.get(&meeting).copied()
    }

    fn join(&mut self, _: usize, _: &str, _: u64) {}

    fn poll(&mut self, _: usize, _: &[Room<'_>], _: u64) {}
}

/// Meetings in the order of their creates, each to the server with the fewest people once all meetings that run
/// have their full size.
pub(crate) fn greedy(school: &School, servers: usize) -> Plan {
    let mut running: Vec<Vec<(f64, u32)>> = vec![Vec::new(); servers];
    let mut plan = HashMap::new();
    for life in &school.lives {
        for rooms in &mut running {
            rooms.retain(|(ended, _)| *ended > life.created_s);
        }
        let load = |server: &usize| running[*server].iter().map(|(_, size)| size).sum::<u32>();
        let server = (0..servers).min_by_key(load).unwrap_or(0);
        running[server].push((life.ended_s, life.size));
        plan.insert(life.meeting, server);
    }
    Plan(plan)
}

/// Meetings in the order of their creates, each where the highest point of its own time stays lowest, given all
/// that was placed before: knows sizes, comings and goings, but not which creates are still to come.
pub(crate) fn greedy_in_time(school: &School, servers: usize) -> Plan {
    in_time(school, school.lives.iter().collect(), servers)
}

/// The same with the largest meetings of the day first (longest processing time first, with time): knows all
/// creates before the day begins, which nobody who places at create time can.
pub(crate) fn largest_first(school: &School, servers: usize) -> Plan {
    let mut lives: Vec<&Life> = school.lives.iter().collect();
    lives.sort_by_key(|life| std::cmp::Reverse(life.size));
    in_time(school, lives, servers)
}

fn in_time(school: &School, lives: Vec<&Life>, servers: usize) -> Plan {
    let steps = (86_400.0 / STEP_S) as usize;
    let mut people = vec![vec![0_i32; steps]; servers];
    let mut plan = HashMap::new();
    for life in lives {
        let (from, line) = line(life, school.last_week_s);
        let height = |server: &usize| {
            let there = &people[*server][from..from + line.len()];
            let peak = there.iter().zip(&line).map(|(a, b)| a + b).max().unwrap_or(0);
            (peak, there.iter().sum::<i32>())
        };
        let server = (0..servers).min_by_key(height).unwrap_or(0);
        for (cell, by) in people[server][from..].iter_mut().zip(&line) {
            *cell += by;
        }
        plan.insert(life.meeting, server);
    }
    Plan(plan)
}

/// The people of a meeting in each step of its life, and the first of them.
fn line(life: &Life, start: f64) -> (usize, Vec<i32>) {
    let step = |at: f64| ((at - start) / STEP_S) as usize;
    let from = step(life.created_s);
    let mut line = vec![0; step(life.ended_s) - from + 1];
    let (mut there, mut last) = (0, 0);
    for (at, by) in &life.moves {
        let now = step(*at) - from;
        for cell in &mut line[last + 1..=now.max(last)] {
            *cell = there;
        }
        there += by;
        line[now] = line[now].max(there);
        last = now;
    }
    (from, line)
}
