//! The numbers as a page.

use std::fmt::Write;

use crate::Plan;
use crate::world::{WRONGS, World};

pub(crate) fn write(plan: &Plan, world: &World) -> String {
    let Plan { seconds, seed, servers, rooms, .. } = plan;
    let mut text = format!(
        "# When everything fails\n\n\
         Written by `make chaos`; the program is `tests/chaos`. A short run is part of `make test`.\n\n\
         {servers} simulated servers and tinyscale, each a process of its own, {rooms} rooms with a front end each, \
         {seconds} seconds, seed {seed}, debug builds. tinyscale has a `state_dir` and `failover_after: 20s`. Every \
         front end makes its meeting with one to three creates at once, sends people there as far as the \
         server's client page, asks for the meeting, ends it half of the time, and begins again. Meanwhile \
         servers are disturbed, several at a time and never all, and tinyscale is killed with SIGKILL.\n\n\
         ## What nobody may see\n\n| | |\n|---|---|\n"
    );
    for kind in WRONGS {
        let _ = writeln!(text, "| {kind} | **{}** |", world.count.wrongs(kind).len());
    }
    text.push_str(RULES);
    text.push_str("\n## What happened\n\n| | times |\n|---|---|\n");
    for (what, times) in world.count.numbers() {
        let _ = writeln!(text, "| {what} | {times} |");
    }
    for kind in WRONGS {
        let wrongs = world.count.wrongs(kind);
        if !wrongs.is_empty() {
            let _ = writeln!(text, "\n## {kind}\n");
        }
        for wrong in wrongs.iter().take(20) {
            let _ = writeln!(text, "* {wrong}");
        }
    }
    text
}

const RULES: &str = "
What counts, exactly:

* **`end`**: every `end` that a front end sends carries a mark of its own. Servers write down what they receive \
before they do anything. An `end` without a mark, or one that arrives more often than it was sent, counts.
* **Two servers**: the servers are asked from behind, all the time. A meeting that is on two of them in two looks in a \
row counts, always: frozen servers come back before `failover_after`, killed ones come back empty, so there is no \
excuse.
* **Unreachable**: a failure `internalError` or `serverUnavailable`, or a running meeting that is missing in getMeetings, \
while neither the meeting's server nor tinyscale is disturbed, nor was within the last six seconds. (Creates of \
meetings that are on no server yet: while no server is disturbed.)
* **Wrong answers**: anything but BBB's XML with status 200 or a redirect; no answer, unless tinyscale was just killed; a meeting \
denied (`notFound`, not running with people in it) that its server has, disturbed or not; another meeting than \
the one that was made; creates at the same time that make two; a create that gives the meeting that was ended before; a \
join that leads to a server without the meeting; getMeetings with a meeting twice.
* After an `end` without an answer nothing is said about that room for twenty seconds: its server may carry it out when it \
wakes.
* When all is over: every meeting that a server has is found, with its own internal ID, and listed.
";
