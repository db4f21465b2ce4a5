//! Calls that only look share one answer for a moment, and nobody reads less than what was written through
//! tinyscale before.

use std::io::Read as _;
use std::time::Duration;

use sim::Fault;
use tinyscale::config::settings::Freshness;

use crate::harness::{Answer, Gateway, World, ask, fetch, http, settings, signed, sims};

const ROOM: &str = "meetingID=room";
/// Longer than a test takes, so that only a change ends it.
const LONG: Duration = Duration::from_secs(600);

/// A meeting on one of `count` servers behind a gateway with this freshness.
async fn world(count: usize, freshness: Duration) -> World {
    let sims = sims(count).await;
    let mut settings = settings(&sims);
    settings.freshness = Freshness::all(freshness);
    let gateway = Gateway::start(settings).await;
    gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    World { sims, gateway }
}

async fn info(world: &World) -> Answer {
    world.gateway.get("getMeetingInfo", ROOM).await
}

fn asked(world: &World) -> usize {
    world.sims.iter().map(|sim| sim.call_count("getMeetingInfo")).sum()
}

#[tokio::test]
async fn many_who_ask_at_once_are_one_question() {
    let world = world(1, LONG).await;
    let pause = Fault::Delay(Duration::from_millis(200));
    world.sims[0].set_fault(pause, Some("getMeetingInfo"));
    let url = world.gateway.url("getMeetingInfo", ROOM);
    let asking: Vec<_> = (0..50).map(|_| tokio::spawn(fetch(http().get(url.clone())))).collect();
    for answer in asking {
        answer.await.unwrap().assert_success();
    }
    assert_eq!(asked(&world), 1);
    // Another call and another question are not the same.
    world.gateway.get("isMeetingRunning", ROOM).await.assert_success();
    world.gateway.get("getMeetingInfo", "meetingID=room&x=1").await.assert_success();
    assert_eq!((asked(&world), world.sims[0].call_count("isMeetingRunning")), (2, 1));
}

#[tokio::test]
async fn an_answer_is_given_again_with_every_byte() {
    let world = world(1, LONG).await;
    let (first, second) = (info(&world).await, info(&world).await);
    assert_eq!(asked(&world), 1);
    let direct = fetch(http().get(world.sims[0].signed_url("getMeetingInfo", ROOM))).await;
    for answer in [first, second] {
        assert_eq!(answer.body, direct.body);
        assert_eq!(answer.header("content-type"), direct.header("content-type"));
        assert_eq!(answer.header("content-length"), direct.body.len().to_string());
    }
}

#[tokio::test]
async fn with_a_freshness_of_nothing_every_call_is_asked() {
    let world = world(1, Duration::ZERO).await;
    for n in 1..=3 {
        info(&world).await.assert_success();
        assert_eq!(asked(&world), n);
    }
}

#[tokio::test]
async fn who_changes_a_meeting_reads_it_changed() {
    let world = world(1, LONG).await;
    let sim = &world.sims[0];
    info(&world).await.assert_success();
    sim.add_users("room", 2);
    assert_eq!(info(&world).await.text("participantCount"), "0", "it was not kept");
    // A create of what exists, as Moodle sends before each join.
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    assert_eq!(info(&world).await.text("participantCount"), "2");
    sim.add_users("room", 1);
    assert_eq!(
        world.gateway.get("join", "meetingID=room&fullName=A&role=VIEWER").await.status,
        302
    );
    assert_eq!(info(&world).await.text("participantCount"), "3");
    sim.add_users("room", 1);
    let slides = "<modules><module name=\"presentation\"><document name=\"a.pdf\">QQ==</document></module></modules>";
    world.gateway.post("insertDocument", ROOM, "application/xml", slides).await.assert_success();
    assert_eq!(info(&world).await.text("participantCount"), "4");
    sim.add_users("room", 1);
    // What became of a call that got no answer is unknown.
    sim.set_fault_once(Fault::ResetAfter, Some("sendChatMessage"));
    world.gateway.get("sendChatMessage", "meetingID=room&message=hello").await;
    assert_eq!(info(&world).await.text("participantCount"), "5");
    let before = asked(&world);
    world.gateway.get("end", ROOM).await.assert_success();
    let after = info(&world).await;
    assert!(asked(&world) > before || after.text("messageKey") == "notFound", "{after:?}");
}

#[tokio::test]
async fn a_failure_is_told_to_all_and_not_kept() {
    let world = world(1, LONG).await;
    world.sims[0].set_fault_once(Fault::Html200, Some("getMeetingInfo"));
    let failed = info(&world).await;
    assert_eq!(failed.text("returncode"), "FAILED", "{failed:?}");
    info(&world).await.assert_success();
    assert_eq!(asked(&world), 2);
}

#[tokio::test]
async fn a_pooled_connection_that_died_is_replaced_once() {
    let world = world(1, Duration::ZERO).await;
    info(&world).await.assert_success();
    world.sims[0].set_fault_once(Fault::ResetBefore, Some("getMeetingInfo"));
    info(&world).await.assert_success();
    assert_eq!(asked(&world), 3);
    world.sims[0].set_fault(Fault::ResetBefore, Some("getMeetingInfo"));
    let failed = info(&world).await;
    assert_eq!(failed.text("returncode"), "FAILED", "{failed:?}");
    assert!(asked(&world) <= 5, "{}", asked(&world));
}

#[tokio::test]
async fn a_kept_answer_serves_clients_of_every_kind() {
    let world = world(1, LONG).await;
    world.sims[0].add_users("room", 2000);
    let whole = info(&world).await;
    assert!(whole.body.len() > 100_000, "{}", whole.body.len());
    let (address, target) = (world.gateway.address, signed("getMeetingInfo", ROOM));
    let request = |method: &str, more: &str| {
        format!(
            "{method} /bigbluebutton/api/getMeetingInfo?{target} HTTP/1.1\r\nHost: a\r\n{more}Connection: close\r\n\r\n"
        )
    };
    let head = ask_head(address, &request("HEAD", "")).await;
    assert!(head.contains(&format!("content-length: {}", whole.body.len())), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "a body: {head}");
    let packed = ask(address, &request("GET", "Accept-Encoding: gzip\r\n")).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    let mut body = String::new();
    flate2::read::GzDecoder::new(packed.body.as_slice()).read_to_string(&mut body).unwrap();
    assert_eq!(body, whole.body);
    assert_eq!(asked(&world), 1);
}

async fn ask_head(address: std::net::SocketAddr, request: &str) -> String {
    crate::harness::raw(address, request.as_bytes()).await.to_ascii_lowercase()
}

/// Each piece comes within `timeouts.call`, the whole would take two minutes: nobody waits for that.
#[tokio::test]
async fn a_server_that_trickles_is_given_up() {
    let sims = sims(1).await;
    let mut settings = settings(&sims);
    settings.freshness = Freshness::all(LONG);
    settings.timeouts.create = Duration::from_secs(3);
    let gateway = Gateway::start(settings).await;
    gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    sims[0].set_fault(Fault::Trickle(Duration::from_secs(2)), Some("getMeetingInfo"));
    let asking = (0..3).map(|_| gateway.get("getMeetingInfo", ROOM));
    for answer in futures::future::join_all(asking).await {
        answer.assert_failed("internalError");
    }
    sims[0].clear_faults();
    gateway.get("getMeetingInfo", ROOM).await.assert_success();
}
