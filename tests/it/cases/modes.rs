//! Servers that operators took out of use, servers with tags, and what neither may change: where a meeting is.

use sim::Fault;
use tinyscale::cluster::placement::tags::Tag;
use tinyscale::cluster::server::Mode;

use crate::harness::{Gateway, World, settings, sims};

const CREATE: &str = "meetingID=room&name=Maths&attendeePW=ap&moderatorPW=mp";

/// A room, and its server in this mode.
async fn room_on_a_server_in(mode: Mode) -> (World, String) {
    let world = World::start(2).await;
    world.gateway.get("create", CREATE).await.assert_success();
    let home = world.gateway.home("room").unwrap();
    world.gateway.set_mode(&home, mode);
    (world, home)
}

#[tokio::test]
async fn cr5_a_create_leaves_a_server_in_drain_that_has_not_the_meeting_any_more() {
    let (world, home) = room_on_a_server_in(Mode::Drain).await;
    world.server_of("room").forget("room");
    world.gateway.get("create", CREATE).await.assert_success();
    assert_ne!(world.server_of("room").name(), home);
    assert_ne!(world.gateway.home("room").unwrap(), home);
}

#[tokio::test]
async fn cr6_a_create_stays_on_a_server_in_drain_that_has_the_meeting() {
    let (world, home) = room_on_a_server_in(Mode::Drain).await;
    let again = world.gateway.get("create", CREATE).await;
    assert_eq!(again.assert_success().text("messageKey"), "duplicateWarning");
    assert_eq!(world.server_of("room").name(), home);
    // Joins and calls go on, new meetings go elsewhere.
    let join = world.gateway.get("join", "meetingID=room&fullName=Ada&password=mp").await;
    assert_eq!(join.status, 302, "{join:?}");
    world.gateway.get("getMeetingInfo", "meetingID=room").await.assert_success();
    for n in 0..4 {
        world.gateway.get("create", &format!("meetingID=new{n}&name=nn")).await.assert_success();
        assert_ne!(world.gateway.home(&format!("new{n}")).unwrap(), home);
    }
}

#[tokio::test]
async fn cr2_when_all_servers_drain_there_is_none_for_a_new_meeting() {
    let (world, _) = room_on_a_server_in(Mode::Drain).await;
    world.gateway.set_mode("bbb1", Mode::Drain);
    world.gateway.set_mode("bbb2", Mode::Drain);
    let refused = world.gateway.get("create", "meetingID=other&name=nn").await;
    refused.assert_failed("internalError");
    assert_eq!(refused.text("message"), "Could not find any available servers.");
}

#[tokio::test]
async fn jo6_a_join_to_a_disabled_server_says_so() {
    let (world, _) = room_on_a_server_in(Mode::Disable).await;
    let join = world.gateway.get("join", "meetingID=room&fullName=Ada&password=mp").await;
    join.assert_failed("serverUnavailable");
    assert_eq!(join.text("message"), "The server for this meeting is disabled/offline.");
}

#[tokio::test]
async fn gm5_servers_in_drain_are_listed_and_disabled_ones_are_not() {
    let world = World::start(2).await;
    for room in ["room1", "room2"] {
        let create = format!("meetingID={room}&name=nn");
        world.gateway.get("create", &create).await.assert_success();
    }
    let (drained, disabled) =
        (world.gateway.home("room1").unwrap(), world.gateway.home("room2").unwrap());
    assert_ne!(drained, disabled);
    world.gateway.set_mode(&drained, Mode::Drain);
    let list = world.gateway.get("getMeetings", "").await;
    assert!(list.body.contains("room1") && list.body.contains("room2"), "{list:?}");
    world.gateway.set_mode(&disabled, Mode::Disable);
    let list = world.gateway.get("getMeetings", "").await;
    assert!(list.body.contains("room1") && !list.body.contains("room2"), "{list:?}");
}

/// Two servers: `tags` of the first, of the second.
async fn tagged(tags: [&[&str]; 2]) -> World {
    let sims = sims(2).await;
    let mut settings = settings(&sims);
    for (server, tags) in settings.servers.iter_mut().zip(tags) {
        server.spec.tags = tags.iter().map(|tag| Tag::new(tag).unwrap()).collect();
    }
    let gateway = Gateway::start(settings).await;
    World { sims, gateway }
}

/// Creates with this tag all go to `server`, and the server gets the parameter as it was sent (`clients.md` M11).
async fn all_go_to(world: &World, tag: &str, server: &str) {
    for n in 0..3 {
        let query = format!("meetingID={server}{n}&name=nn&meta_server-tag={tag}");
        world.gateway.get("create", &query).await.assert_success();
        let home = world.server_of(&format!("{server}{n}"));
        assert_eq!(home.name(), server);
        let sent = home.calls_of("create").pop().unwrap();
        assert!(sent.query().starts_with(&query), "{}", sent.query());
    }
}

#[tokio::test]
async fn cr9_and_s28_a_wanted_tag_that_nobody_has_falls_back_to_servers_without() {
    let world = tagged([&["wrong-tag"], &[]]).await;
    all_go_to(&world, "test-tag", "bbb2").await;
}

#[tokio::test]
async fn cr10_and_s28_a_required_tag_finds_its_server() {
    let world = tagged([&[], &["test-tag"]]).await;
    all_go_to(&world, "test-tag!", "bbb2").await;
    all_go_to(&world, "other;test-tag", "bbb2").await;
    // Who asks for none leaves the tagged server alone.
    for n in 0..3 {
        world.gateway.get("create", &format!("meetingID=room{n}&name=nn")).await.assert_success();
        assert_eq!(world.gateway.home(&format!("room{n}")).as_deref(), Some("bbb1"));
    }
}

/// Nothing of the body was taken from the client while no connection came about, so it goes to the next server
/// whole, however large it is.
#[tokio::test]
async fn cr18_two_megabytes_of_slides_go_on_to_the_next_server_if_the_first_refuses() {
    let world = World::start(2).await;
    let slides = format!(
        "<modules><module name=\"presentation\"><document name=\"a.pdf\">{}</document></module></modules>",
        "A".repeat(2_000_000)
    );
    // Both are believed to be up; one refuses from now on.
    world.sims[0].stop().await;
    for n in 0..2 {
        let create = format!("meetingID=room{n}&name=nn");
        let answer = world.gateway.post("create", &create, "application/xml", slides.clone()).await;
        answer.assert_success();
        let made = world.sims[1].meeting(&format!("room{n}")).unwrap();
        assert_eq!(made.documents[0].inline_bytes, 2_000_000);
    }
}

/// Here a part of the body is gone when the connection breaks: the client is told the truth.
#[tokio::test]
async fn cr18_slides_that_a_server_broke_off_make_no_meeting_elsewhere() {
    let world = World::start(2).await;
    let slides = format!("<modules><!--{}--></modules>", "A".repeat(200_000));
    for sim in &world.sims {
        sim.set_fault(Fault::ResetBefore, Some("create"));
    }
    let answer = world.gateway.post("create", "meetingID=room&name=nn", "application/xml", slides);
    answer.await.assert_failed("internalError");
    assert_eq!(world.copies("room"), 0);
}
