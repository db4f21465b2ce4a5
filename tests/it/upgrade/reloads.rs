//! Reloads of a real process: under load, by signal, by command, by a changed file.

use rustix::process::Signal;

use crate::process::{Ended, servers_json, sims};
use crate::upgrade::load::Load;
use crate::upgrade::{PER_PHASE, Site, how_many};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_fails_while_configurations_follow_each_other() {
    let sims = sims(3).await;
    let site = Site::before(&sims);
    let line = site.start();
    let load = Load::begin(line.first.address().await);
    let put = |text: &str| {
        // Not by a rename: some are read half written.
        site.operator.clone().file("servers.json", text);
        line.first.signal(Signal::HUP);
    };
    let all = servers_json(&sims);
    for round in 0..how_many() {
        for _ in 0..10 {
            put(&all.replace("\"name\"", "\"weight\": 3, \"name\""));
            put(&servers_json(&sims[..2]));
            put(&all[..all.len() / 2]);
            put("[{\"host\": 7}]");
            put(&servers_json(&sims[1..]));
            load.answered(PER_PHASE / 10).await;
            put(&all);
        }
        let failures = load.failures();
        assert!(failures.is_empty(), "round {round}: {failures:?}\n{}", line.first.err());
    }
    let totals = load.end().await;
    assert!(totals.failures.is_empty(), "{:?}", totals.failures);
    for meeting in &totals.meetings {
        let copies = sims.iter().filter(|sim| sim.meeting(meeting).is_some()).count();
        assert_eq!(copies, 1, "{meeting}");
    }
    println!("reloads: {totals}");
    let Ended { code, out, err } = site.command("reload").await;
    assert_eq!(code, Some(0), "{out}{err}");
    line.first.get("getMeetings", "").await.assert_success();
}

#[tokio::test]
async fn a_command_says_what_has_changed_or_what_is_wrong() {
    let sims = sims(2).await;
    let site = Site::before(&sims[..1]);
    let Ended { code, err, .. } = site.command("reload").await;
    assert!(code == Some(1) && err.contains("no process is found"), "{err}");
    let line = site.start();
    line.first.address().await;
    let run = site.operator.folder.path().join("run");
    let pid = std::fs::read_to_string(run.join("tinyscale.pid")).unwrap();
    assert_eq!(pid.trim(), line.first.pid().to_string());
    let Ended { out, .. } = site.command("reload").await;
    assert_eq!(out, "nothing has changed\n");
    site.operator.clone().file("servers.json", servers_json(&sims));
    let Ended { code, out, .. } = site.command("reload").await;
    assert_eq!(code, Some(0));
    assert_eq!(out, "server bbb2 is new: it takes meetings after its first good answer\n");
    site.operator.clone().file("servers.json", "[]");
    let Ended { code, err, .. } = site.command("reload").await;
    assert_eq!(code, Some(1));
    assert!(err.starts_with("servers.json:1:1: there are no servers"), "{err}");

    let other = site.operator.start_at(&site.program);
    site.operator.clone().file("servers.json", servers_json(&sims));
    drop(other);
    let other = site.operator.run().await;
    assert!(other.err.contains("another tinyscale uses"), "{}", other.err);
    let mut line = line;
    line.first.signal(Signal::TERM);
    assert_eq!(line.first.leave().await, Some(0));
    assert_eq!(std::fs::read_dir(run).unwrap().count(), 0, "nothing is left");
}

#[tokio::test]
async fn a_changed_file_is_read_if_that_is_wanted() {
    let sims = sims(2).await;
    let mut site = Site::before(&sims[..1]);
    site.operator = site.operator.with("TINYSCALE_RELOAD_ON_CHANGE", "true");
    let line = site.start();
    line.first.address().await;
    site.operator.clone().file("servers.json", servers_json(&sims));
    line.first.says("because a file has changed").await;
    line.first.says("changed: server bbb2 is new").await;
}

#[tokio::test]
async fn a_check_online_shows_every_server_and_fails_with_one() {
    let sims = sims(2).await;
    let site = Site::before(&sims);
    let check = site.operator.clone().args(["-t", "--online"]);
    let Ended { code, out, err } = check.run().await;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("bbb1 ") && out.contains("bbb2 ") && out.ends_with("ok\n"), "{out}");
    sims[1].stop().await;
    let Ended { code, out, err } = check.run().await;
    assert_eq!(
        (code, err.trim()),
        (Some(1), "tinyscale: 1 of 2 servers do not answer as they should")
    );
    assert!(out.contains("unreachable: no connection"), "{out}");
}
