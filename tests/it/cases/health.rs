//! Servers that stumble, and what the transport looks like from outside.

use sim::Fault;

use crate::harness::{World, fetch, http, raw, signed, wait_for};

#[tokio::test]
async fn h1_one_bad_poll_is_seen_by_nobody() {
    let world = World::start(1).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    world.sims[0].set_fault_once(Fault::Status(500), Some("getMeetings"));
    wait_for("the bad poll", || world.sims[0].fault_count() == 0).await;
    world.gateway.get("getMeetingInfo", "meetingID=room").await.assert_success();
    world.gateway.get("create", "meetingID=room2&name=nn").await.assert_success();
    let list = world.gateway.get("getMeetings", "").await;
    assert!(list.body.contains("room2"));
}

#[tokio::test]
async fn clients_m7_a_content_type_on_a_get_counts_for_nothing_and_goes_nowhere() {
    let world = World::start(1).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    world.sims[0].clear_calls();
    for content_type in ["application/xml", "application/json"] {
        let url = world.gateway.url("getMeetingInfo", "meetingID=room");
        let answer = fetch(http().get(url).header("Content-Type", content_type)).await;
        assert!(answer.assert_success().is_bbb_xml());
        let index =
            fetch(http().get(world.gateway.api()).header("Content-Type", content_type)).await;
        assert!(index.assert_success().is_bbb_xml());
    }
    let calls = world.sims[0].calls_of("getMeetingInfo");
    assert!(calls.iter().all(|call| call.header("content-type").is_none()), "{calls:?}");
}

#[tokio::test]
async fn clients_m8_m9_nothing_is_compressed_unasked_and_headers_have_their_blank() {
    let world = World::start(1).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    for call in ["getMeetingInfo", "isMeetingRunning", "getMeetings", "getRecordings", "join"] {
        let query = signed(call, "meetingID=room&fullName=Ada");
        let request = format!(
            "GET /bigbluebutton/api/{call}?{query} HTTP/1.1\r\nHost: lb\r\nAccept-Encoding: UTF-8\r\nConnection: close\r\n\r\n"
        );
        let answer = raw(world.gateway.address, request.as_bytes()).await;
        let (head, _) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.lines().skip(1).all(|line| line.contains(": ")), "{head}");
        let head = head.to_lowercase();
        assert!(!head.contains("content-encoding") && !head.contains("set-cookie"), "{head}");
    }
}

#[tokio::test]
async fn clients_m6_expect_100_continue_is_answered_at_once() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::start(1).await;
    let slides = crate::cases::SLIDES;
    let query = signed("create", "meetingID=room&name=nn");
    let head = format!(
        "POST /bigbluebutton/api/create?{query} HTTP/1.1\r\nHost: lb\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        slides.len()
    );
    let mut stream = tokio::net::TcpStream::connect(world.gateway.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut buffer = [0; 1024];
    let read = stream.read(&mut buffer);
    let read = tokio::time::timeout(crate::harness::DEADLINE, read).await.unwrap().unwrap();
    assert!(buffer[..read].starts_with(b"HTTP/1.1 100 "), "{:?}", &buffer[..read]);
    stream.write_all(slides.as_bytes()).await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("SUCCESS"), "{rest}");
    assert_eq!(world.sims[0].meeting("room").unwrap().documents.len(), 1);
}

#[tokio::test]
async fn clients_m10_a_dead_server_costs_a_create_no_ten_seconds() {
    let world = World::start(3).await;
    world.sims[0].stop().await;
    let creating = world.gateway.get("create", "meetingID=room&name=nn");
    let answer = tokio::time::timeout(std::time::Duration::from_secs(10), creating).await;
    answer.expect("too late for Greenlight").assert_success();
}
