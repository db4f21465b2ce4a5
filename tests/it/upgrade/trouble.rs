//! Upgrades that go wrong, and requests that take longer than an upgrade.

use std::time::Duration;

use rustix::process::Signal;
use sim::{Fault, Sim};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Answer, fetch, http, wait_for};
use crate::process::{Ended, send, sims, url};
use crate::upgrade::{Line, Site, is_there};

/// An upgrade that is refused with these words, after which the old process serves on.
async fn refused(site: &Site, line: &Line, words: &str) {
    let Ended { code, err, .. } = site.command("upgrade").await;
    assert!(code == Some(1) && err.contains(words), "{code:?} {err}");
    line.first.get("getMeetings", "").await.assert_success();
    assert!(line.first.err().contains("this process goes on as before"), "{}", line.first.err());
}

#[tokio::test]
async fn a_new_program_that_does_not_come_up_changes_nothing() {
    let sims = sims(1).await;
    let mut site = Site::before(&sims);
    site.operator = site.operator.with("TINYSCALE_UPGRADE_DEADLINE", "300ms");
    let line = site.start();
    line.first.get("create", "meetingID=CANARY-m&name=CANARY").await.assert_success();
    site.replace_program("exit 3");
    refused(&site, &line, "it ended before it served: exit status: 3").await;
    site.replace_program("exec sleep 1000");
    refused(&site, &line, "it did not serve within").await;
    site.replace_program("kill -9 $$");
    refused(&site, &line, "it ended before it served: signal: 9").await;
    std::fs::remove_file(&site.program).unwrap();
    refused(&site, &line, "cannot be started").await;
    line.first.get("getMeetingInfo", "meetingID=CANARY-m").await.assert_success();
    assert_eq!(sims[0].meeting_count(), 1);
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_changes_nothing() {
    let sims = sims(1).await;
    let site = Site::before(&sims);
    let line = site.start();
    line.first.address().await;
    let good = crate::process::servers_json(&sims);
    let put = |text: &str| {
        site.operator.clone().file("servers.json", text);
    };
    put("[7]");
    refused(&site, &line, "servers.json:1:2").await;
    put(&good.replace(&sims[0].secret(), "CANARY-wrong"));
    refused(&site, &line, "wrong secret for bbb1").await;
    put(&good);
    let Ended { code, out, err } = site.command("upgrade").await;
    assert!(code == Some(0) && out.contains("serves"), "{out} {err}");
    let mut line = line;
    line.note_new();
    line.settled().await;
    line.first.get("getMeetings", "").await.assert_success();
}

/// Starts a call that the server answers only when `slow` is over.
async fn call(line: &Line, call: &str, query: &str) -> tokio::task::JoinHandle<Answer> {
    let request = http().get(url(line.first.address().await, call, query));
    tokio::spawn(fetch(request))
}

const CREATE: &str = "meetingID=CANARY-long&name=CANARY";

/// A process with a create under way that takes as long as the server wants.
async fn with_a_long_create(sims: &[Sim]) -> (Site, Line, tokio::task::JoinHandle<Answer>) {
    let site = Site::before(sims);
    let line = site.start();
    line.first.address().await;
    for sim in sims {
        sim.set_fault_once(Fault::Delay(Duration::from_secs(3)), Some("create"));
    }
    let long = call(&line, "create", CREATE).await;
    let calls = || sims.iter().map(|sim| sim.call_count("create")).sum::<usize>() == 1;
    wait_for("the create", calls).await;
    sims.iter().for_each(Sim::clear_faults);
    (site, line, long)
}

#[tokio::test]
async fn a_long_create_ends_where_it_began_and_is_not_made_elsewhere() {
    let sims = sims(3).await;
    let (site, mut line, long) = with_a_long_create(&sims).await;
    line.upgrade().await;
    // The new process may place it on another server, and must not.
    let again: Vec<_> = vec![
        call(&line, "create", CREATE).await,
        call(&line, "create", CREATE).await,
        call(&line, "create", CREATE).await,
    ];
    refused_while_leaving(&site).await;
    long.await.unwrap().assert_success();
    for answer in again {
        answer.await.unwrap().assert_success();
    }
    line.first.get("getMeetingInfo", "meetingID=CANARY-long").await.assert_success();
    let copies = sims.iter().map(Sim::meeting_count).sum::<usize>();
    assert_eq!(copies, 1, "{}", line.first.err());
    line.settled().await;
    line.upgrade().await;
    line.settled().await;
}

async fn refused_while_leaving(site: &Site) {
    let Ended { code, err, .. } = site.command("upgrade").await;
    assert!(code == Some(1) && err.contains("has not ended yet"), "{code:?} {err}");
}

#[tokio::test]
async fn a_new_process_that_is_killed_too_early_is_followed_by_the_old_one() {
    let sims = sims(2).await;
    let (site, mut line, long) = with_a_long_create(&sims).await;
    line.upgrade().await;
    let new = line.pids.pop().unwrap();
    send(new, Signal::KILL);
    line.first.says("accepts connections again").await;
    line.first.get("getMeetings", "").await.assert_success();
    long.await.unwrap().assert_success();
    line.first.get("getMeetingInfo", "meetingID=CANARY-long").await.assert_success();
    wait_for("the end of the new process", || !is_there(new)).await;
    let Ended { code, err, .. } = site.command("upgrade").await;
    assert_eq!(code, Some(0), "{err}");
    line.note_new();
    line.settled().await;
    line.first.get("getMeetingInfo", "meetingID=CANARY-long").await.assert_success();
}

#[tokio::test]
async fn two_upgrades_at_once_are_one() {
    let sims = sims(1).await;
    let mut site = Site::before(&sims);
    site.operator = site.operator.with("TINYSCALE_UPGRADE_DEADLINE", "2s");
    let line = site.start();
    line.first.address().await;
    site.replace_program("exec sleep 1000");
    let (one, other) = tokio::join!(site.command("upgrade"), async {
        line.first.says("to take over; pid=").await;
        let second = site.command("upgrade").await;
        line.first.signal(Signal::USR2);
        second
    });
    let said = format!("{}{}", one.err, other.err);
    assert!(said.contains("under way already") && said.contains("did not serve within"), "{said}");
}

#[tokio::test]
async fn an_idle_connection_is_answered_once_more() {
    let sims = sims(1).await;
    let site = Site::before(&sims);
    let mut line = site.start();
    let address = line.first.address().await;
    let request = b"GET /bigbluebutton/api/ HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(request).await.unwrap();
    let mut answer = vec![0; 4096];
    let count = idle.read(&mut answer).await.unwrap();
    assert!(String::from_utf8_lossy(&answer[..count]).contains("Connection: keep-alive"));
    line.upgrade().await;
    // Its process waits for it.
    idle.write_all(request).await.unwrap();
    let mut rest = String::new();
    idle.read_to_string(&mut rest).await.unwrap();
    assert!(rest.starts_with("HTTP/1.1 200") && rest.contains("Connection: close"), "{rest}");
    line.settled().await;
}

#[tokio::test]
async fn what_needs_a_new_process_comes_with_one() {
    let sims = sims(1).await;
    let site = Site::before(&sims);
    let servers = |sim: &Sim| {
        format!("servers: [{{ url: \"{}\", secret: \"{}\" }}]\n", sim.url(), sim.secret())
    };
    let yaml = |listen: &str| format!("listen: [{listen}]\n{}", servers(&sims[0]));
    let one = "{ address: \"127.0.0.1:0\" }";
    site.operator.clone().file("c.yaml", yaml(one));
    let operator = site.operator.clone().without("PORT").args(["-c", "c.yaml"]);
    let mut line = Line::begin(operator.start_at(&site.program));
    line.first.address().await;
    site.operator.clone().file("c.yaml", yaml(&format!("{one}, {{ address: \"[::1]:0\" }}")));
    let Ended { out, err, .. } = site.command("reload").await;
    assert!(out.contains("`listen` has changed: takes effect with a new process"), "{out}{err}");
    line.upgrade().await;
    let said = line.first.out();
    let both = said.rsplit_once("listening on ").unwrap().1.trim();
    for address in both.split(", ") {
        let index = fetch(http().get(format!("http://{address}/bigbluebutton/api"))).await;
        assert_eq!(index.status, 200);
    }
    assert!(both.contains("[::1]:"), "{both}");
    line.settled().await;
}
