//! Servers that refuse, hang, lie or die: what front ends are told, and that no meeting is lost or doubled
//! (design sections 1 and 6).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sim::Fault;
use tinyscale::cluster::health::Health;

use crate::harness::{Answer, DEADLINE, World, fetch, http, wait_for};

/// Every way in which a server can fail a call.
fn faults() -> Vec<Fault> {
    vec![
        Fault::Status(500),
        Fault::Status(404),
        Fault::BadGateway,
        Fault::Hang,
        Fault::HangAfter,
        Fault::ResetBefore,
        Fault::ResetAfter,
        Fault::ResetMidBody,
        Fault::Html200,
        Fault::Empty200,
        Fault::WrongXml,
        Fault::TruncatedXml,
    ]
}

#[track_caller]
fn assert_bbb(answer: &Answer, what: &str) {
    assert!(answer.is_bbb_xml(), "{what}: {answer:?}");
}

#[tokio::test]
async fn a_create_goes_on_to_the_next_server_when_one_refuses() {
    let world = World::start(3).await;
    world.sims[0].stop().await;
    world.sims[1].stop().await;
    for n in 0..4 {
        let query = format!("meetingID=room{n}&name=nn");
        world.gateway.get("create", &query).await.assert_success();
        assert_eq!(world.gateway.home(&format!("room{n}")).as_deref(), Some("bbb3"));
    }
    assert_eq!(world.sims[2].meeting_count(), 4);
}

#[tokio::test]
async fn a_refusing_server_is_suspected_at_once() {
    let world = World::start(2).await;
    // Probes keep seeing it up: only traffic finds out.
    world.sims[0].set_fault(Fault::Delay(Duration::from_secs(1)), Some("getMeetings"));
    world.sims[0].stop().await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    let health = {
        let cluster = world.gateway.state.cluster();
        cluster.members().next().unwrap().1.pulse.health()
    };
    assert_ne!(health, Health::Up);
}

#[tokio::test]
async fn with_all_servers_down_a_create_is_told_so() {
    let world = World::start(2).await;
    for sim in &world.sims {
        sim.stop().await;
    }
    let answer = world.gateway.get("create", "meetingID=room&name=nn").await;
    answer.assert_failed("internalError");
    world.gateway.wait_health("bbb1", Health::Down).await;
    world.gateway.wait_health("bbb2", Health::Down).await;
    let answer = world.gateway.get("create", "meetingID=room&name=nn").await;
    answer.assert_failed("internalError");
    assert_eq!(answer.text("message"), "Could not find any available servers.");
    world.sims[1].restart().await.unwrap();
    world.gateway.wait_health("bbb2", Health::Up).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    assert_eq!(world.copies("room"), 1);
}

#[tokio::test]
async fn meetings_of_a_dead_server_stay_known_and_are_never_not_found() {
    let world = World::start(2).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    let listed = world.gateway.get("getMeetings", "").await.body;
    let index = usize::from(world.gateway.home("room").as_deref() == Some("bbb2"));
    let (dead, name) = (&world.sims[index], world.sims[index].name().to_owned());
    dead.stop().await;
    for expected in [Health::Suspect, Health::Down] {
        if expected == Health::Down {
            world.gateway.wait_health(&name, Health::Down).await;
        }
        for call in ["getMeetingInfo", "isMeetingRunning", "end", "create"] {
            let answer = world.gateway.get(call, "meetingID=room&name=nn").await;
            answer.assert_failed("internalError");
        }
        assert_eq!(world.gateway.get("getMeetings", "").await.body, listed);
    }
    let join = world.gateway.get("join", "meetingID=room&fullName=Ada").await;
    join.assert_failed("serverUnavailable");
    dead.restart().await.unwrap();
    world.gateway.wait_health(&name, Health::Up).await;
    world.gateway.get("getMeetingInfo", "meetingID=room").await.assert_success();
    assert_eq!(world.copies("room"), 1);
    assert_eq!(dead.call_count("end"), 0);
}

#[tokio::test]
async fn every_failure_of_a_server_is_answered_in_xml() {
    let world = World::start(1).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    for fault in faults() {
        let what = format!("{fault:?}");
        world.sims[0].set_fault(fault, Some("getMeetingInfo"));
        let answer = world.gateway.get("getMeetingInfo", "meetingID=room").await;
        assert_bbb(&answer, &what);
        answer.assert_failed("internalError");
        world.sims[0].clear_faults();
        world.gateway.get("getMeetingInfo", "meetingID=room").await.assert_success();
    }
}

/// One server fails a new meeting's create in every way; the other is fine. Whatever the client is told, there
/// is at most one meeting, and if it was told of success, exactly one.
#[tokio::test]
async fn no_failure_of_a_create_doubles_the_meeting() {
    let world = World::start(2).await;
    for (n, fault) in faults().into_iter().enumerate() {
        let (what, id) = (format!("{fault:?}"), format!("room{n}"));
        let query = format!("meetingID={id}&name=nn");
        for sim in &world.sims {
            sim.set_fault_once(fault.clone(), Some("create"));
        }
        let answer = world.gateway.get("create", &query).await;
        assert_bbb(&answer, &what);
        for sim in &world.sims {
            sim.clear_faults();
        }
        let made = world.copies(&id);
        assert!(made <= 1, "{what}: {made} meetings after {answer:?}");
        if answer.text("returncode") == "SUCCESS" {
            assert_eq!(made, 1, "{what}");
        }
        // As Greenlight does: try again.
        let again = world.gateway.get("create", &query).await;
        again.assert_success();
        assert_eq!(world.copies(&id), 1, "{what}");
    }
}

#[tokio::test]
async fn a_create_whose_server_fails_before_making_it_succeeds_elsewhere() {
    for fault in [Fault::Status(500), Fault::ResetBefore] {
        let world = World::start(2).await;
        for sim in &world.sims {
            sim.set_fault_times(fault.clone(), Some("create"), u32::from(sim.name() == "bbb1"));
        }
        let answer = world.gateway.get("create", "meetingID=room&name=nn").await;
        answer.assert_success();
        assert_eq!(world.copies("room"), 1, "{fault:?}");
        assert_eq!(world.gateway.home("room").as_deref(), Some("bbb2"), "{fault:?}");
        // The server in doubt was asked before another one was used.
        assert_eq!(world.sims[0].call_count("getMeetingInfo"), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_answered_by_the_server_that_made_it() {
    let world = World::start(2).await;
    world.sims[0].set_fault_once(Fault::ResetAfter, Some("create"));
    let answer = world.gateway.get("create", "meetingID=room&name=nn").await;
    answer.assert_success();
    assert_eq!(world.copies("room"), 1);
    let meeting = world.sims[0].meeting("room").unwrap();
    assert_eq!(answer.text("createTime"), meeting.create_time.to_string());
}

#[tokio::test]
async fn a_create_that_stays_in_doubt_never_goes_elsewhere() {
    let world = World::start(2).await;
    world.sims[0].set_fault_once(Fault::ResetAfter, Some("create"));
    world.sims[0].set_fault_once(Fault::BadGateway, Some("getMeetingInfo"));
    let answer = world.gateway.get("create", "meetingID=room&name=nn").await;
    answer.assert_failed("internalError");
    assert_eq!(world.sims[1].call_count("create"), 0);
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    assert_eq!(world.copies("room"), 1);
}

#[tokio::test]
async fn a_front_end_that_gives_up_on_a_create_leaves_a_meeting_that_is_found() {
    let world = World::start(2).await;
    for sim in &world.sims {
        sim.set_fault_once(Fault::Delay(Duration::from_millis(500)), Some("create"));
    }
    let impatient = reqwest::Client::builder().timeout(Duration::from_millis(100)).build().unwrap();
    let url = world.gateway.url("create", "meetingID=room&name=nn");
    assert!(impatient.get(url).send().await.is_err());
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    assert_eq!(world.copies("room"), 1);
}

#[tokio::test]
async fn a_meeting_that_a_server_forgot_leaves_after_two_answers() {
    let world = World::start(1).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    assert!(world.sims[0].forget("room"));
    wait_for("the meeting to leave", || world.gateway.home("room").is_none()).await;
    world.gateway.get("getMeetingInfo", "meetingID=room").await.assert_failed("notFound");
}

#[tokio::test]
async fn one_hanging_server_delays_nobody_elses_meetings() {
    let world = World::start(2).await;
    world.gateway.get("create", "meetingID=room1&name=nn").await.assert_success();
    world.gateway.get("create", "meetingID=room2&name=nn").await.assert_success();
    // Whoever is unreachable is shown as it was listed last.
    world.gateway.get("getMeetings", "").await.assert_success();
    let hanging = world.server_of("room1");
    hanging.set_fault(Fault::Hang, None);
    let url = world.gateway.url("getMeetingInfo", "meetingID=room1");
    let stuck: Vec<_> = (0..50).map(|_| tokio::spawn(fetch(http().get(url.clone())))).collect();
    world.gateway.get("getMeetingInfo", "meetingID=room2").await.assert_success();
    let list = world.gateway.get("getMeetings", "").await;
    assert!(list.body.contains("room1") && list.body.contains("room2"), "{list:?}");
    for answer in stuck {
        answer.await.unwrap().assert_failed("internalError");
    }
}

/// Three servers under load; one dies with its meetings' front ends still calling, and comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_under_load_and_comes_back_costs_nothing() {
    let world = Arc::new(World::start(3).await);
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> =
        (0..8).map(|client| tokio::spawn(classes(world.clone(), client, stop.clone()))).collect();
    let name = world.sims[1].name().to_owned();
    for _ in 0..2 {
        wait_for("meetings on it", || world.sims[1].meeting_count() > 2).await;
        world.sims[1].stop().await;
        world.gateway.wait_health(&name, Health::Down).await;
        world.sims[1].restart().await.unwrap();
        world.gateway.wait_health(&name, Health::Up).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut created = Vec::new();
    for client in clients {
        created.extend(client.await.unwrap());
    }
    assert!(created.len() > 8, "only {} meetings were created", created.len());
    for id in &created {
        assert_eq!(world.copies(id), 1, "{id}");
        let info = world.gateway.get("getMeetingInfo", &format!("meetingID={id}")).await;
        info.assert_success();
    }
    let ends: usize = world.sims.iter().map(|sim| sim.call_count("end")).sum();
    assert_eq!(ends, 0);
    for sim in &world.sims {
        for meeting in sim.meetings() {
            assert_eq!(world.copies(&meeting.external_id), 1, "{}", meeting.external_id);
        }
    }
}

/// Creates meetings and polls them until told to stop. Every answer must be BBB's; a meeting that was
/// confirmed must never be denied. Returns the confirmed ones.
async fn classes(world: Arc<World>, client: usize, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut created: Vec<String> = Vec::new();
    let mut n = 0;
    let started = tokio::time::Instant::now();
    while !stop.load(Ordering::Relaxed) && started.elapsed() < DEADLINE * 3 {
        let id = format!("room-{client}-{n}");
        n += 1;
        let answer = world.gateway.get("create", &format!("meetingID={id}&name=nn")).await;
        assert_bbb(&answer, &id);
        if answer.text("returncode") == "SUCCESS" {
            created.push(id);
        }
        for id in created.iter().rev().take(3) {
            let info = world.gateway.get("getMeetingInfo", &format!("meetingID={id}")).await;
            assert_bbb(&info, id);
            assert_ne!(info.text("messageKey"), "notFound", "{id}");
        }
        let list = world.gateway.get("getMeetings", "").await;
        list.assert_success();
    }
    created
}

#[tokio::test]
async fn what_changes_something_is_sent_once_however_it_fails() {
    let world = World::start(1).await;
    let (sim, gateway) = (&world.sims[0], &world.gateway);
    gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    // A connection that could be used again, and dies with what is sent over it.
    gateway.get("getMeetingInfo", "meetingID=room").await.assert_success();
    for (call, query) in [
        ("sendChatMessage", "meetingID=room&message=once"),
        ("someFutureCall", "meetingID=room"),
        ("end", "meetingID=room"),
    ] {
        for fault in [Fault::ResetAfter, Fault::ResetMidBody] {
            sim.clear_calls();
            sim.set_fault_once(fault, Some(call));
            gateway.get(call, query).await.assert_failed("internalError");
            assert_eq!(sim.call_count(call), 1, "{call}");
            gateway.get("isMeetingRunning", "meetingID=room").await.assert_success();
        }
    }
    // Asking again does no harm.
    sim.set_fault_once(Fault::ResetAfter, Some("isMeetingRunning"));
    gateway.get("isMeetingRunning", "meetingID=room").await.assert_success();
    assert_eq!(sim.call_count("isMeetingRunning"), 3);
}
