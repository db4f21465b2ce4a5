//! Meetings that end and come again, servers that operators take out of use, restarts beside dead servers.

use std::time::Duration;

use sim::{Fault, SimConfig};
use tinyscale::cluster::health::Health;
use tinyscale::cluster::server::Mode;
use tinyscale::config::settings::Settings;

use crate::harness::{Gateway, World, settings, sims, wait_for};

#[tokio::test]
async fn a_create_right_after_end_makes_a_new_meeting() {
    let config = |n| SimConfig {
        name: format!("bbb{}", n + 1),
        end_delay: Duration::from_millis(400),
        ..SimConfig::default()
    };
    let sims = sim::start_many(2, config).await.unwrap();
    let gateway = Gateway::start(settings(&sims)).await;
    let world = World { sims, gateway };
    for _ in 0..3 {
        let first = world.gateway.get("create", "meetingID=room&name=nn").await;
        let first = first.assert_success().text("createTime").to_owned();
        world.gateway.get("end", "meetingID=room").await.assert_success();
        let second = world.gateway.get("create", "meetingID=room&name=nn").await;
        let second = second.assert_success().text("createTime").to_owned();
        assert_ne!(first, second);
        assert_eq!(
            world.server_of("room").meeting("room").unwrap().create_time.to_string(),
            second
        );
        world.gateway.get("getMeetingInfo", "meetingID=room").await.assert_success();
        world.gateway.get("end", "meetingID=room").await.assert_success();
        wait_for("the end", || world.copies("room") == 0).await;
    }
}

#[tokio::test]
async fn a_draining_server_keeps_its_meetings_and_gets_no_new_ones() {
    let world = World::start(2).await;
    world.gateway.get("create", "meetingID=old&name=nn").await.assert_success();
    let draining = world.server_of("old").name().to_owned();
    world.gateway.set_mode(&draining, Mode::Drain);
    for n in 0..4 {
        world.gateway.get("create", &format!("meetingID=new{n}&name=nn")).await.assert_success();
        assert_ne!(world.gateway.home(&format!("new{n}")).as_deref(), Some(draining.as_str()));
    }
    let again = world.gateway.get("create", "meetingID=old&name=nn").await;
    assert_eq!(again.assert_success().text("messageKey"), "duplicateWarning");
    assert_eq!(world.gateway.get("join", "meetingID=old&fullName=Ada").await.status, 302);
    world.gateway.get("getMeetingInfo", "meetingID=old").await.assert_success();

    // CR5: once its meeting is gone, the next create goes elsewhere.
    world.server_of("old").forget("old");
    world.gateway.get("create", "meetingID=old&name=nn").await.assert_success();
    assert_ne!(world.gateway.home("old").as_deref(), Some(draining.as_str()));
    assert_eq!(world.copies("old"), 1);
}

#[tokio::test]
async fn a_disabled_server_is_not_used() {
    let world = World::start(2).await;
    world.gateway.get("create", "meetingID=old&name=nn").await.assert_success();
    let disabled = world.server_of("old").name().to_owned();
    world.gateway.set_mode(&disabled, Mode::Disable);
    world.gateway.get("getMeetingInfo", "meetingID=old").await.assert_failed("internalError");
    world.gateway.get("join", "meetingID=old&fullName=A").await.assert_failed("serverUnavailable");
    world.gateway.get("create", "meetingID=new&name=nn").await.assert_success();
    assert_ne!(world.gateway.home("new").as_deref(), Some(disabled.as_str()));
}

fn with_state_in(folder: &tempfile::TempDir, settings: Settings) -> Settings {
    Settings { state_dir: Some(folder.path().to_owned()), ..settings }
}

#[tokio::test]
async fn a_restart_beside_a_dead_server_neither_denies_nor_doubles_its_meetings() {
    let folder = tempfile::tempdir().unwrap();
    let sims = sims(2).await;
    let first = Gateway::start(with_state_in(&folder, settings(&sims))).await;
    first.get("create", "meetingID=room&name=nn").await.assert_success();
    let home = first.home("room").unwrap();
    drop(first);
    let (dead, alive) = if home == "bbb1" { (&sims[0], &sims[1]) } else { (&sims[1], &sims[0]) };
    dead.stop().await;

    let second = Gateway::start(with_state_in(&folder, settings(&sims))).await;
    second.get("getMeetingInfo", "meetingID=room").await.assert_failed("internalError");
    second.get("create", "meetingID=room&name=nn").await.assert_failed("internalError");
    assert_eq!(alive.call_count("create"), 0);
    second.get("create", "meetingID=other&name=nn").await.assert_success();
    dead.restart().await.unwrap();
    second.wait_health(&home, Health::Up).await;
    second.get("getMeetingInfo", "meetingID=room").await.assert_success();
    let again = second.get("create", "meetingID=room&name=nn").await;
    assert_eq!(again.text("messageKey"), "duplicateWarning");
}

#[tokio::test]
async fn two_gateways_on_one_store_make_a_meeting_once() {
    let folder = tempfile::tempdir().unwrap();
    let sims = sims(3).await;
    for sim in &sims {
        sim.set_fault(Fault::Delay(Duration::from_millis(50)), Some("create"));
    }
    // As during an upgrade: both serve, neither knows what the other is doing.
    let old = Gateway::start(with_state_in(&folder, settings(&sims))).await;
    let new = Gateway::start(with_state_in(&folder, settings(&sims))).await;
    for n in 0..10 {
        let query = format!("meetingID=room{n}&name=nn&attendeePW=ap&moderatorPW=mp");
        let answers = futures::future::join_all([
            old.get("create", &query),
            new.get("create", &query),
            old.get("create", &query),
            new.get("create", &query),
        ])
        .await;
        for answer in &answers {
            answer.assert_success();
        }
        let id = format!("room{n}");
        assert_eq!(sims.iter().filter(|sim| sim.meeting(&id).is_some()).count(), 1, "{id}");
    }
}

#[tokio::test]
async fn a_broken_store_stops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tinyscale.sqlite"), "no database at all, only some text")
        .unwrap();
    let sims = sims(1).await;
    let gateway = Gateway::start(with_state_in(&folder, settings(&sims))).await;
    gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    gateway.get("getMeetingInfo", "meetingID=room").await.assert_success();
}

#[tokio::test]
async fn meetings_of_a_server_that_stays_away_are_made_anew_and_the_one_with_people_wins() {
    let sims = sims(2).await;
    let mut quick = settings(&sims);
    quick.balance.failover_after = Some(Duration::from_millis(1));
    let world = World { gateway: Gateway::start(quick).await, sims };
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    let old = world.gateway.home("room").unwrap();
    let (gone, other) = if old == "bbb1" {
        (&world.sims[0], &world.sims[1])
    } else {
        (&world.sims[1], &world.sims[0])
    };
    gone.stop().await;
    world.gateway.wait_health(&old, Health::Down).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    assert_eq!(world.gateway.home("room").as_deref(), Some(other.name()));
    // It comes back with the meeting, and people are in that one.
    gone.add_users("room", 3);
    gone.restart().await.unwrap();
    wait_for("the one with people", || world.gateway.home("room").as_deref() == Some(&old)).await;
    assert_eq!(world.sims.iter().map(|sim| sim.call_count("end")).sum::<usize>(), 0);
    assert_eq!(world.copies("room"), 2);
}
