//! Everything fails, for as long as one likes: real processes and sockets, servers that are killed, frozen, slow,
//! flapping and restarted empty, and tinyscale itself killed, while front ends make, join, ask for and end
//! meetings. Then it is counted what nobody may ever see. docs/chaos.md says what counts as wrong.
//!
//! ```sh
//! cargo test --test chaos                                       # 15 seconds, as in `make test`
//! cargo test --test chaos -- --seconds 600 --write docs/chaos.md   # `make chaos`
//! ```
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::print_stdout, reason = "somebody waits for the report")]

mod client;
mod monkey;
mod process;
mod report;
mod room;
mod server;
mod truth;
mod watch;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::world::World;

/// What a run is made of.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seconds: u64,
    pub(crate) seed: u64,
    pub(crate) servers: usize,
    pub(crate) rooms: usize,
    /// tinyscale; the debug build unless told otherwise.
    pub(crate) program: String,
    /// Where the report goes, besides standard output.
    pub(crate) write: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1).cloned()
    };
    let number = |name: &str, default: u64| value(name).map_or(default, |n| n.parse().unwrap());
    if args.first().is_some_and(|arg| arg == "--be-server") {
        server::run(&args[1..]);
        return ExitCode::SUCCESS;
    }
    // `cargo test NAME` runs every test program with the name; `--list` wants to know what there is.
    let filter = args.iter().find(|arg| !arg.starts_with('-') && !"chaos".contains(arg.as_str()));
    let listing = args.iter().any(|arg| arg == "--list");
    if listing || (filter.is_some() && value("--seconds").is_none()) {
        return ExitCode::SUCCESS;
    }
    let plan = Plan {
        seconds: number("--seconds", 15),
        seed: number("--seed", 1),
        servers: number("--servers", 5) as usize,
        rooms: number("--rooms", 24) as usize,
        program: value("--program").unwrap_or(env!("CARGO_BIN_EXE_tinyscale").to_owned()),
        write: value("--write").map(PathBuf::from),
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (text, wrong) = runtime.block_on(run(&plan));
    println!("{text}");
    if let Some(path) = &plan.write {
        std::fs::write(path, &text).unwrap();
    }
    if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

async fn run(plan: &Plan) -> (String, bool) {
    let world = Arc::new(World::start(plan).await);
    let mut rooms = Vec::new();
    for number in 0..plan.rooms {
        rooms.push(tokio::spawn(room::live(Arc::clone(&world), number, plan.seed)));
    }
    let watching = tokio::spawn(watch::doubles(Arc::clone(&world)));
    let listing = tokio::spawn(watch::lists(Arc::clone(&world)));
    let monkey = tokio::spawn(monkey::play(Arc::clone(&world), plan.clone()));
    tokio::time::sleep(Duration::from_secs(plan.seconds)).await;
    world.calm.store(true, Ordering::SeqCst);
    monkey.await.unwrap();
    // Front ends go on for a while among servers that are well, where there is no excuse.
    tokio::time::sleep(truth::GRACE + Duration::from_secs(3)).await;
    world.over.store(true, Ordering::SeqCst);
    for room in rooms {
        room.await.unwrap();
    }
    watching.await.unwrap();
    listing.await.unwrap();
    watch::last_look(&world).await;
    let wrong = world.count.wrong();
    let text = report::write(plan, &world);
    world.stop(wrong).await;
    (text, wrong)
}
