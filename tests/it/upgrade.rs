//! One process takes over from another while front ends go on: nothing is refused, nothing fails, no meeting is
//! made twice. With real processes, and with new ones that do not come up.

mod load;
mod reloads;
mod trouble;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rustix::process::Signal;

use crate::harness::wait_for;
use crate::process::{Ended, Operator, Process, send, sims};
use crate::upgrade::load::Load;

/// Requests that are answered before, and again after, each change of processes.
const PER_PHASE: usize = 1_000;

/// A program and the processes that followed it.
struct Line {
    first: Process,
    pids: Vec<u32>,
}

/// An operator whose program can be replaced, and whose commands find it.
struct Site {
    operator: Operator,
    program: PathBuf,
}

impl Site {
    fn before(sims: &[sim::Sim]) -> Self {
        let operator = Operator::of(sims);
        let folder = operator.folder.path().to_owned();
        let operator =
            operator.with("TINYSCALE_RUN_DIR", folder.join("run")).with("TINYSCALE_LOG", "info");
        let site = Self { operator, program: folder.join("tinyscale") };
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tinyscale"), &site.program).unwrap();
        site
    }

    fn start(&self) -> Line {
        Line::begin(self.operator.start_at(&self.program))
    }

    /// Puts a shell script in the program's place.
    fn replace_program(&self, script: &str) {
        let new = self.program.with_extension("new");
        std::fs::write(&new, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(new, &self.program).unwrap();
    }

    /// Runs a command as in another terminal.
    async fn command(&self, name: &'static str) -> Ended {
        self.operator.clone().args([name]).run().await
    }
}

impl Line {
    fn begin(first: Process) -> Self {
        let pids = vec![first.pid()];
        Self { first, pids }
    }

    fn serving(&self) -> u32 {
        *self.pids.last().unwrap()
    }

    /// Notes that the newest process was started by the one before it.
    fn note_new(&mut self) -> u32 {
        let said = self.first.err();
        let (_, pid) = said.rsplit_once("to take over; pid=").unwrap();
        let pid = pid.lines().next().unwrap().parse().unwrap();
        self.pids.push(pid);
        pid
    }

    /// Asks the process that serves for an upgrade and waits until the next one does.
    async fn upgrade(&mut self) {
        let before = self.first.err().matches("took over").count();
        send(self.serving(), Signal::USR2);
        let took_over = || self.first.err().matches("took over").count() > before;
        wait_for("a new process", took_over).await;
        self.note_new();
    }

    /// Waits until only the process that serves is left.
    async fn settled(&mut self) {
        let old: Vec<u32> = self.pids.drain(..self.pids.len() - 1).collect();
        for pid in old {
            if self.first.id() == Some(pid) {
                assert_eq!(self.first.leave().await, Some(0));
            }
            wait_for("the old process to end", || !is_there(pid)).await;
        }
    }
}

fn is_there(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}/stat")).exists()
}

impl Drop for Line {
    fn drop(&mut self) {
        for pid in self.pids.iter().filter(|pid| is_there(**pid)) {
            send(*pid, Signal::KILL);
        }
    }
}

/// Rounds of each test; `make upgrades` wants more.
fn how_many() -> usize {
    std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2)
}

/// Upgrades under load, `rounds` times in a row.
#[expect(clippy::print_stdout, reason = "`make upgrades` shows the figures")]
async fn rounds(operator: Operator, sims: &[sim::Sim], rounds: usize) {
    let mut line = Line::begin(operator.start());
    let load = Load::begin(line.first.address().await);
    for round in 0..rounds {
        load.answered(PER_PHASE).await;
        line.upgrade().await;
        load.answered(PER_PHASE).await;
        line.settled().await;
        let failures = load.failures();
        assert!(failures.is_empty(), "round {round}: {failures:?}\n{}", line.first.err());
    }
    let totals = load.end().await;
    assert!(totals.failures.is_empty(), "{:?}", totals.failures);
    for meeting in &totals.meetings {
        let copies = sims.iter().filter(|sim| sim.meeting(meeting).is_some()).count();
        assert_eq!(copies, 1, "{meeting}");
    }
    println!("{totals}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_fails_and_nothing_is_doubled_while_processes_follow_each_other() {
    let sims = sims(3).await;
    rounds(Operator::of(&sims).with("TINYSCALE_LOG", "info"), &sims, how_many()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_shared() {
    let sims = sims(3).await;
    let folder = tempfile::tempdir().unwrap();
    let operator = Operator::of(&sims).with("TINYSCALE_STATE_DIR", folder.path());
    rounds(operator.with("TINYSCALE_LOG", "info"), &sims, how_many()).await;
}
