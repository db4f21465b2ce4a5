//! Servers that operators take out of use: what people are told, what operators see, and what outlives a restart.

use std::time::Duration;

use sim::Sim;
use tinyscale::bbb::query;
use tinyscale::cluster::drain::Drain;
use tinyscale::cluster::health::Health;
use tinyscale::cluster::server::Mode;
use tinyscale::config::settings::Settings;
use tinyscale::state::events::Kind;
use tinyscale::state::operate::Refused;

use crate::harness::{DEADLINE, Gateway, World, settings, sims, wait_for};

const CREATE: &str = "meetingID=room&name=nn&attendeePW=ap&moderatorPW=mp";

fn now_unix_s() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

fn until(seconds: u64, message: Option<&str>) -> Drain {
    Drain {
        since_unix_s: now_unix_s(),
        until_unix_s: Some(now_unix_s() + seconds),
        message: message.map(str::to_owned),
    }
}

/// What the meetings of a server were told, in order.
fn told(sim: &Sim) -> Vec<String> {
    let calls = sim.calls_of("sendChatMessage");
    calls.iter().map(|call| query::first(call.query(), "message").unwrap().into_owned()).collect()
}

/// The texts of the events of this kind, the oldest first.
fn events(gateway: &Gateway, kind: Kind) -> Vec<String> {
    let events = gateway.state.events().into_iter().rev();
    events.filter(|event| event.kind == kind).map(|event| event.text).collect()
}

#[tokio::test]
async fn a_drain_tells_its_meetings_and_says_when_the_server_is_empty() {
    let world = World::start(2).await;
    world.gateway.get("create", CREATE).await.assert_success();
    let home = world.gateway.home("room").unwrap();
    let state = &world.gateway.state;
    let standing = state.set_mode(&home, Mode::Drain, until(3600, None)).await.unwrap();
    assert_eq!((standing.meetings, standing.is_drained()), (1, false));
    wait_for("the meeting to be told", || told(world.server_of("room")).len() == 1).await;
    let message = told(world.server_of("room")).pop().unwrap();
    assert!(message.contains("switched off in 60 minutes"), "{message}");
    let server = world.server_of("room").name().to_owned();
    world.gateway.get("end", "meetingID=room&password=mp").await.assert_success();
    wait_for("the drain to end", || {
        events(&world.gateway, Kind::Drain).iter().any(|text| text.starts_with("drained"))
    })
    .await;
    assert_eq!(server, home);
    // Told once: the reminders are half an hour away.
    let sim = world.sims.iter().find(|sim| sim.name() == home).unwrap();
    assert_eq!(told(sim).len(), 1);
    // Nobody but the front end ended anything.
    assert_eq!(sim.call_count("end"), 1);
}

#[tokio::test]
async fn words_of_the_operators_own_are_told_and_an_overdue_drain_ends_nothing() {
    let world = World::start(1).await;
    world.gateway.get("create", CREATE).await.assert_success();
    let state = &world.gateway.state;
    state.set_mode("bbb1", Mode::Drain, until(0, Some("Bye & thanks"))).await.unwrap();
    wait_for("the drain to be overdue", || {
        events(&world.gateway, Kind::Drain).iter().any(|text| text.starts_with("overdue"))
    })
    .await;
    wait_for("the meeting to be told", || told(&world.sims[0]) == ["Bye & thanks"]).await;
    assert!(world.sims[0].meeting("room").is_some());
    assert_eq!(world.sims[0].call_count("end"), 0);
    assert!(state.standings()[0].is_overdue(now_unix_s()));
    // Back in use, nothing is overdue, and new meetings come.
    state.set_mode("bbb1", Mode::Serve, Drain::default()).await.unwrap();
    assert!(!state.standings()[0].is_overdue(now_unix_s()));
    world.gateway.get("create", "meetingID=other&name=nn").await.assert_success();
}

#[tokio::test]
async fn without_an_end_and_words_nobody_is_told_anything() {
    let world = World::start(1).await;
    world.gateway.get("create", CREATE).await.assert_success();
    let state = &world.gateway.state;
    let drain = Drain { since_unix_s: now_unix_s(), ..Drain::default() };
    state.set_mode("bbb1", Mode::Drain, drain).await.unwrap();
    world.gateway.get("end", "meetingID=room&password=mp").await.assert_success();
    wait_for("the drain to end", || !events(&world.gateway, Kind::Drain).is_empty()).await;
    assert_eq!(told(&world.sims[0]), [""; 0]);
}

#[tokio::test]
async fn a_server_without_chat_is_asked_once() {
    let world = World::start(1).await;
    for n in 0..3 {
        let create = format!("meetingID=room{n}&name=nn&moderatorPW=mp");
        world.gateway.get("create", &create).await.assert_success();
    }
    // As a server before 3.0 answers (`bbb-api.md` 2.9).
    let answer = sim::Fault::Status(404);
    world.sims[0].set_fault(answer, Some("sendChatMessage"));
    let state = &world.gateway.state;
    state.set_mode("bbb1", Mode::Drain, until(3600, None)).await.unwrap();
    wait_for("all to be tried", || world.sims[0].call_count("sendChatMessage") == 3).await;
    for n in 0..3 {
        let end = format!("meetingID=room{n}&password=mp");
        world.gateway.get("end", &end).await.assert_success();
    }
    wait_for("the drain to end", || !events(&world.gateway, Kind::Drain).is_empty()).await;
    assert_eq!(world.sims[0].call_count("sendChatMessage"), 3);
}

#[tokio::test]
async fn modes_and_drains_survive_a_restart_and_no_probe_changes_them() {
    let folder = tempfile::tempdir().unwrap();
    let stored =
        |sims: &[Sim]| Settings { state_dir: Some(folder.path().to_owned()), ..settings(sims) };
    let sims = sims(2).await;
    let gateway = Gateway::start(stored(&sims)).await;
    let drain = until(3600, Some("bye"));
    gateway.state.set_mode("bbb1", Mode::Drain, drain.clone()).await.unwrap();
    gateway.state.set_mode("bbb2", Mode::Disable, Drain::default()).await.unwrap();
    drop(gateway);
    let gateway = Gateway::start(stored(&sims)).await;
    let modes = || -> Vec<Mode> { gateway.state.standings().iter().map(|one| one.mode).collect() };
    assert_eq!(modes(), [Mode::Drain, Mode::Disable]);
    assert_eq!(gateway.state.standings()[0].drain, Some(drain));
    sims[0].stop().await;
    gateway.wait_health("bbb1", Health::Down).await;
    sims[0].restart().await.unwrap();
    gateway.wait_health("bbb1", Health::Up).await;
    assert_eq!(modes(), [Mode::Drain, Mode::Disable]);
    gateway.get("create", CREATE).await.assert_failed("internalError");
}

#[tokio::test]
async fn a_server_that_is_given_up_loses_its_meetings_at_once_and_only_if_it_is_down() {
    let world = World::start(2).await;
    world.gateway.get("create", CREATE).await.assert_success();
    let home = world.gateway.home("room").unwrap();
    let state = &world.gateway.state;
    assert_eq!(state.give_up(&home), Err(Refused::Alive(home.clone(), 1)));
    let unknown = state.give_up("bbb7").unwrap_err().to_string();
    assert_eq!(unknown, "there is no server called bbb7; the servers are bbb1, bbb2");
    world.server_of("room").stop().await;
    world.gateway.wait_health(&home, Health::Down).await;
    // Three minutes are not over: without the word the meeting stays where it is.
    world.gateway.get("create", CREATE).await.assert_failed("internalError");
    assert_eq!(state.give_up(&home), Ok(1));
    world.gateway.get("create", CREATE).await.assert_success();
    assert_ne!(world.gateway.home("room").unwrap(), home);
    // The old server comes back with its own: both run, and operators see it.
    world.sims.iter().find(|sim| sim.name() == home).unwrap().restart().await.unwrap();
    wait_for("the double to be seen", || {
        state.doubles().iter().any(|(name, twice)| name.as_str() == home && twice.len() == 1)
    })
    .await;
    assert_eq!(world.copies("room"), 2);
    assert!(world.sims.iter().all(|sim| sim.call_count("end") == 0));
}

#[tokio::test]
async fn learned_sizes_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let stored =
        |sims: &[Sim]| Settings { state_dir: Some(folder.path().to_owned()), ..settings(sims) };
    let sims = sims(1).await;
    let gateway = Gateway::start(stored(&sims)).await;
    gateway.get("create", CREATE).await.assert_success();
    sims[0].add_users("room", 40);
    wait_for("the people to be seen", || gateway.state.standings()[0].people == 40).await;
    gateway.get("end", "meetingID=room&password=mp").await.assert_success();
    let known = |gateway: &Gateway| {
        let now = gateway.state.now();
        gateway.state.cluster().sizes().export(now).ids
    };
    wait_for("the size to be learned", || known(&gateway).len() == 1).await;
    drop(gateway);
    // What runs in the background ends a moment after the gateway, and writes then.
    let again = async {
        loop {
            let gateway = Gateway::start(stored(&sims)).await;
            let ids = known(&gateway);
            if let [one] = ids.as_slice() {
                return one.spread.mean;
            }
            drop(gateway);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let mean = tokio::time::timeout(DEADLINE, again).await.unwrap();
    assert!((39.0..=41.0).contains(&mean), "{mean}");
}
