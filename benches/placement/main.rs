//! How evenly new meetings are placed: the most people on one server over a school day, by policy, relative to
//! schedulers that know everything; and how long a decision takes. Writes docs/placement.md and
//! docs/placement.svg:
//!
//! ```sh
//! cargo bench --bench placement                # seeds 1001 to 1020
//! cargo bench --bench placement -- 1 20        # seeds 1 to 20, for a look; writes nothing
//! ```
#![expect(clippy::unwrap_used, reason = "a bench may stop where it likes")]
#![expect(clippy::print_stdout, reason = "somebody waits for the numbers")]

mod day;
mod oracle;
mod peers;
mod speed;
mod table;

use tinyscale::cluster::placement::Policy;
use tinyscale::config::settings::{BalanceSettings, ProbeSettings};
use tinyscale::replay::ours::{Ours, specs};
use tinyscale::replay::world::Outcome;
use tinyscale::replay::{Balancer, Setup, chart, run};

use crate::day::{Habit, School};
use crate::peers::{Formula, Peer};
use crate::table::Table;

const SERVERS: usize = 22;
/// Three to learn from, one to measure.
const WEEKS: usize = 4;
/// The model was made while looking at seeds 1 to 6 and 101 to 108; these were not looked at.
const HELD_OUT: (u64, u64) = (1001, 20);

fn main() {
    let given: Vec<u64> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let (first, count) = match given.as_slice() {
        [first, count, ..] => (*first, *count),
        _ => HELD_OUT,
    };
    let mut tables = Habit::ALL.map(|habit| (habit, Table::default()));
    for (habit, table) in &mut tables {
        let habit = *habit;
        // Days know nothing of each other; the table does not depend on how many run at a time.
        std::thread::scope(|scope| {
            let days: Vec<_> = (first..first + count)
                .map(|seed| scope.spawn(move || one_day(seed, habit)))
                .collect();
            for day in days {
                table.take(day.join().unwrap());
            }
        });
    }
    let times = Policy::ALL.map(|policy| (policy.name(), speed::decide(policy)));
    let text = table::markdown(&tables, first, count, &times);
    println!("{text}");
    if given.is_empty() {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/docs");
        std::fs::create_dir_all(docs).unwrap();
        std::fs::write(format!("{docs}/placement.md"), &text).unwrap();
        std::fs::write(format!("{docs}/placement.svg"), picture(first)).unwrap();
    }
}

fn one_day(seed: u64, habit: Habit) -> Table {
    let mut table = Table::default();
    let weeks = day::school(seed, WEEKS, habit);
    let day = weeks.last_week();
    let peak = |outcome: &Outcome| f64::from(outcome.peak.people);
    let knowing = [oracle::greedy(&day, SERVERS), oracle::greedy_in_time(&day, SERVERS)];
    let knowing: Vec<f64> =
        knowing.into_iter().map(|mut plan| peak(&measure(&day, seed, &mut plan))).collect();
    let foreseeing = measure(&day, seed, &mut oracle::largest_first(&day, SERVERS));
    let best = knowing.iter().copied().fold(f64::INFINITY, f64::min);
    let mut note = |name, people| table.note(name, people, best, peak(&foreseeing));
    note(
        "tinyscale, sizes learned in 3 weeks",
        peak(&measure(&weeks, seed, &mut ours(Policy::ExpectedLoad))),
    );
    for (name, policy) in [
        ("tinyscale, nothing learned", Policy::ExpectedLoad),
        ("least meetings", Policy::LeastMeetings),
        ("round robin", Policy::RoundRobin),
    ] {
        note(name, peak(&measure(&day, seed, &mut ours(policy))));
    }
    for (name, formula, poll_interval_ms) in [
        ("BBBLB's formula as it runs", Formula::Bbblb { decays: false }, 5_000),
        ("BBBLB's formula as documented", Formula::Bbblb { decays: true }, 5_000),
        ("B3LB's formula without CPU", Formula::B3lb, 5_000),
        ("Scalelite's formula, polled every 60 s", Formula::Scalelite, 60_000),
        ("Scalelite's formula, polled every 5 s", Formula::Scalelite, 5_000),
    ] {
        let setup = Setup { poll_interval_ms, ..setup(&day, seed) };
        let mut peer = Peer::new(formula, SERVERS, seed);
        note(name, peak(&run(&day.trace, &setup, &mut peer)));
    }
    note("knows sizes, least full", knowing[0]);
    note("knows sizes, comings and goings", knowing[1]);
    note("knows all creates to come, too", peak(&foreseeing));
    note("even share of all people", foreseeing.even);
    table
}

fn setup(school: &School, seed: u64) -> Setup {
    Setup {
        servers: SERVERS,
        poll_interval_ms: ProbeSettings::default().interval.as_millis() as u64,
        seed,
        measured_from_ms: (school.last_week_s * 1000.0) as u64,
    }
}

fn measure(school: &School, seed: u64, balancer: &mut dyn Balancer) -> Outcome {
    run(&school.trace, &setup(school, seed), balancer)
}

fn ours(policy: Policy) -> Ours {
    let balance = BalanceSettings { policy, ..BalanceSettings::default() };
    Ours::new(specs(SERVERS), &balance, &ProbeSettings::default())
}

/// The measured day of one seed under three policies.
fn picture(seed: u64) -> String {
    let weeks = day::school(seed, WEEKS, Habit::AroundTheBell);
    let day = weeks.last_week();
    let ours = measure(&weeks, seed, &mut ours(Policy::ExpectedLoad));
    let scalelite = measure(&day, seed, &mut Peer::new(Formula::Scalelite, SERVERS, seed));
    let turns = measure(&day, seed, &mut crate::ours(Policy::RoundRobin));
    let of_day = |outcome: &Outcome| {
        let mut load = outcome.load.clone();
        load.retain(|at| at.at_s >= day.last_week_s);
        load.iter_mut().for_each(|at| at.at_s -= day.last_week_s);
        load
    };
    let loads = [of_day(&ours), of_day(&scalelite), of_day(&turns)];
    let titles = [
        "people per server: tinyscale, expected_load, sizes learned",
        "Scalelite's formula, polled every 5 s",
        "round robin",
    ];
    let panels: Vec<_> =
        titles.into_iter().zip(&loads).map(|(title, load)| (title, load.as_slice())).collect();
    chart::people_over_time(&panels, SERVERS)
}
