//! One process takes over from another while front ends go on: nothing is refused, nothing fails, no meeting is
//! made twice. With real processes, and with new ones that do not come up.

mod load;

use std::time::Duration;

use rustix::process::Signal;

use crate::harness::wait_for;
use crate::process::{Operator, Process, send, sims};
use crate::upgrade::load::Load;

/// A program and the processes that followed it.
struct Line {
    first: Process,
    pids: Vec<u32>,
}

impl Line {
    fn begin(first: Process) -> Self {
        let pids = vec![first.pid()];
        Self { first, pids }
    }

    fn serving(&self) -> u32 {
        *self.pids.last().unwrap()
    }

    /// Asks the process that serves for an upgrade and waits until the next one does.
    async fn upgrade(&mut self) {
        let before = self.first.err().matches("took over").count();
        send(self.serving(), Signal::USR2);
        let took_over = || self.first.err().matches("took over").count() > before;
        wait_for("a new process", took_over).await;
        let said = self.first.err();
        let (_, pid) = said.rsplit_once("to take over; pid=").unwrap();
        self.pids.push(pid.lines().next().unwrap().parse().unwrap());
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

/// Upgrades under load, `rounds` times in a row.
async fn rounds(operator: Operator, sims: &[sim::Sim], rounds: usize) {
    let mut line = Line::begin(operator.start());
    let load = Load::begin(line.first.address().await);
    for round in 0..rounds {
        load.answered(2_000).await;
        line.upgrade().await;
        load.answered(2_000).await;
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
    rounds(Operator::of(&sims).with("TINYSCALE_LOG", "info"), &sims, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_shared() {
    let sims = sims(3).await;
    let folder = tempfile::tempdir().unwrap();
    let operator = Operator::of(&sims).with("TINYSCALE_STATE_DIR", folder.path());
    rounds(operator.with("TINYSCALE_LOG", "info"), &sims, 2).await;
}
