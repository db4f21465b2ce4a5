//! A school's weeks: bells, rooms that recur every week, sizes with a heavy tail. Everything follows from a seed.
//!
//! Teachers open their rooms around the bell, some well before; whoever opens it is the first in it. Pupils come
//! to a room once it is open, most of them within a few minutes around the bell. Each week some are absent.

use tinyscale::replay::random::Random;
use tinyscale::replay::trace::{Event, Kind, Trace};

/// When lessons begin, in minutes of the day, and how long they take.
const LESSONS: [(f64, f64); 8] = [
    (480.0, 45.0),
    (530.0, 45.0),
    (590.0, 45.0),
    (640.0, 45.0),
    (705.0, 45.0),
    (755.0, 45.0),
    (840.0, 90.0),
    (945.0, 90.0),
];
/// How full the day is in each of them.
const SHARE: [f64; 8] = [1.0, 1.0, 1.0, 0.95, 0.9, 0.8, 0.5, 0.3];
/// Rooms in a full lesson: 22 servers and about 200 sessions at a time (scalelite #1048).
const ROOMS: f64 = 200.0;
const WEEK_S: f64 = 7.0 * 86_400.0;

/// When rooms are opened, and when people come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    /// From a quarter of an hour before the bell to eight minutes after it; people come as soon as they can.
    AroundTheBell,
    /// All within the minute after the bell (`operators.md` 2.1); people come in the minutes after that.
    WithinAMinute,
    /// Minutes before the bell, by a front end: nobody is in them until it rings.
    Ahead,
}

impl Habit {
    pub(crate) const ALL: [Self; 3] = [Self::AroundTheBell, Self::WithinAMinute, Self::Ahead];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AroundTheBell => "around the bell",
            Self::WithinAMinute => "within a minute",
            Self::Ahead => "ahead of the bell",
        }
    }

    /// How long before the bell a room is opened that usually is `lead_s` before it, and the soonest that
    /// people come, before the bell.
    fn lead_s(self, lead_s: f64, random: &mut Random) -> (f64, f64) {
        match self {
            Self::AroundTheBell => {
                let lead_s = (lead_s + random.normal(0.0, 60.0)).clamp(-480.0, 900.0);
                (lead_s, lead_s)
            }
            Self::WithinAMinute => {
                let lead_s = -60.0 * random.unit();
                (lead_s, lead_s)
            }
            Self::Ahead => (120.0 + 780.0 * random.unit(), 60.0),
        }
    }
}

/// A room in its weekly slot.
struct Room {
    lesson: usize,
    enrolled: f64,
    /// How many seconds before the bell it is usually opened.
    lead_s: f64,
    cameras: f64,
}

/// People of one meeting over time, for schedulers that know everything.
#[derive(Clone)]
pub(crate) struct Life {
    pub meeting: usize,
    pub created_s: f64,
    pub ended_s: f64,
    /// The most people at once.
    pub size: u32,
    /// Moments at which somebody comes (+) or goes (-).
    pub moves: Vec<(f64, i32)>,
}

pub(crate) struct School {
    pub trace: Trace,
    /// Every meeting of the last week, in order of creation.
    pub lives: Vec<Life>,
    /// When the last week begins.
    pub last_week_s: f64,
}

impl School {
    /// The last week by itself.
    pub(crate) fn last_week(&self) -> Self {
        let mut trace = self.trace.clone();
        trace.events.retain(|event| event.at_s >= self.last_week_s);
        Self { trace, lives: self.lives.clone(), last_week_s: self.last_week_s }
    }
}

/// The same weekday in `weeks` weeks.
pub(crate) fn school(seed: u64, weeks: usize, habit: Habit) -> School {
    let mut random = Random::new(seed.wrapping_mul(0x5851_f42d_4c95_7f2d) ^ 0x1405_7b7e_f767_814f);
    let mut rooms = Vec::new();
    for (lesson, share) in SHARE.into_iter().enumerate() {
        for _ in 0..(ROOMS * share) as usize {
            rooms.push(room(&mut random, lesson));
        }
    }
    let names = (0..rooms.len()).map(|n| format!("room-{n}")).collect();
    let mut trace = Trace { names, ..Trace::default() };
    let mut lives = Vec::new();
    for week in 0..weeks {
        let start = WEEK_S * week as f64;
        lives = rooms
            .iter()
            .enumerate()
            .map(|(n, room)| meet(&mut random, habit, n, room, start))
            .collect();
        for life in &lives {
            push(&mut trace, life, &rooms[life.meeting], &mut random);
        }
    }
    trace.events.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    lives.sort_by(|a, b| a.created_s.total_cmp(&b.created_s));
    School { trace, lives, last_week_s: WEEK_S * (weeks - 1) as f64 }
}

fn room(random: &mut Random, lesson: usize) -> Room {
    // Classes; tutoring and office hours; lectures and assemblies with a Pareto tail.
    let enrolled = match random.unit() {
        kind if kind < 0.65 => random.normal(23.0, 6.0).max(5.0),
        kind if kind < 0.95 => 2.0 + random.exponential(5.0),
        _ => (30.0 / (1.0 - random.unit()).powf(1.0 / 1.6)).min(200.0),
    };
    let lead_s =
        if random.unit() < 0.7 { random.normal(90.0, 120.0) } else { random.normal(420.0, 180.0) };
    Room { lesson, enrolled, lead_s, cameras: if random.unit() < 0.4 { 0.3 } else { 0.05 } }
}

fn meet(random: &mut Random, habit: Habit, meeting: usize, room: &Room, start_s: f64) -> Life {
    let (bell, minutes) = LESSONS[room.lesson];
    let bell_s = start_s + bell * 60.0;
    let (lead_s, soonest_s) = habit.lead_s(room.lead_s, random);
    let (created_s, opened_s) = (bell_s - lead_s, bell_s - soonest_s);
    let over_s = bell_s + minutes * 60.0;
    let mut moves = vec![(opened_s + 1.0 + random.exponential(5.0), 1)];
    for _ in 1..(room.enrolled.round() as u32).max(2) {
        // One in ten is absent.
        if random.unit() < 0.1 {
            continue;
        }
        let punctual = bell_s + random.normal(-20.0, 90.0);
        let late = if random.unit() < 0.1 { random.exponential(420.0) } else { 0.0 };
        // Nobody is in before the room is open; those who wait come in one after another.
        let came = (punctual + late).max(opened_s + 3.0 + random.exponential(25.0));
        if came < over_s - 60.0 {
            moves.push((came, 1));
        }
    }
    let comers = moves.len();
    for n in 0..comers {
        let came = moves[n].0;
        moves.push(((over_s + random.normal(0.0, 40.0)).max(came + 30.0), -1));
    }
    moves.sort_by(|a, b| a.0.total_cmp(&b.0));
    let ended_s = moves.iter().map(|(at, _)| *at).fold(over_s, f64::max) + 1.0;
    let mut there = 0;
    let size = moves.iter().map(|(_, by)| {
        there += by;
        there
    });
    let size = size.max().unwrap_or(0) as u32;
    Life { meeting, created_s, ended_s, size, moves }
}

fn push(trace: &mut Trace, life: &Life, room: &Room, random: &mut Random) {
    let mut add = |at_s: f64, kind| {
        let event = Event { at_s, at_ms: (at_s * 1000.0) as u64, meeting: life.meeting, kind };
        trace.events.push(event);
    };
    add(life.created_s, Kind::Create);
    for (at_s, by) in &life.moves {
        let cameras = u32::from(random.unit() < room.cameras);
        let kind = if *by > 0 {
            Kind::Join { people: 1, cameras }
        } else {
            Kind::Leave { people: 1, cameras }
        };
        add(*at_s, kind);
    }
    add(life.ended_s, Kind::End);
}
