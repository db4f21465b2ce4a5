//! What a server sends by itself, and the calls of the client. The receiver is another simulated server,
//! which answers every path with a page.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::tests::{DEADLINE, exchange, get, quick};
use crate::{Fault, Profile, Recording, Sim, SimConfig};

async fn receiver() -> Sim {
    let sim = quick().await;
    sim.set_fault(Fault::Html200, None);
    sim
}

fn create_query(receiver: &Sim) -> String {
    let base = format!("http%3A%2F%2F{}", receiver.address());
    format!(
        "meetingID=m1&name=One&meetingEndedURL={base}%2Fended%3Fk%3D1&meta_endCallbackUrl={base}%2Fcb"
    )
}

#[tokio::test]
async fn the_end_of_a_meeting_is_told_once_by_3_0() {
    let (sim, receiver) = (quick().await, receiver().await);
    get(&sim, "create", &create_query(&receiver)).await;
    sim.end("m1");
    assert!(receiver.wait_until(DEADLINE, |r| r.calls().len() == 2).await);
    assert_eq!(receiver.calls_of("/ended")[0].target, "/ended?k=1&recordingmarks=false");
    assert_eq!(receiver.calls_of("/cb")[0].target, "/cb?recordingmarks=false&meetingID=m1");
}

#[tokio::test]
async fn the_end_of_a_meeting_is_probed_first_by_2_7() {
    let receiver = receiver().await;
    let sim = Sim::start(SimConfig {
        profile: Profile::V27,
        end_delay: Duration::ZERO,
        callback_retries: vec![Duration::ZERO],
        ..SimConfig::default()
    });
    let sim = sim.await.unwrap();
    // The first probe fails, so the URL is tried again, and then got twice.
    receiver.set_fault_once(Fault::Status(204), Some("/ended"));
    get(&sim, "create", &create_query(&receiver)).await;
    sim.end("m1");
    assert!(receiver.wait_until(DEADLINE, |r| r.call_count("/ended") == 3).await);
    assert_eq!(receiver.calls_of("/ended")[2].target, "/ended?k=1");
}

#[tokio::test]
async fn recordings_and_analytics_are_signed() {
    let (sim, receiver) = (quick().await, receiver().await);
    let mut recording = Recording::of("m1", 1_000);
    let url = format!("http://{}/ready", receiver.address());
    recording.meta.insert("bbb-recording-ready-url".to_owned(), url);
    let id = sim.add_recording(recording);
    assert!(sim.publish_recording(&id));
    assert!(receiver.wait_until(DEADLINE, |r| r.call_count("/ready") == 1).await);
    let body = String::from_utf8(receiver.calls()[0].body.to_vec()).unwrap();
    assert!(body.starts_with("signed_parameters=eyJ"), "{body}");

    let query = format!(
        "meetingID=m1&name=One&meta_analytics-callback-url=http%3A%2F%2F{}%2Fanalytics",
        receiver.address()
    );
    get(&sim, "create", &query).await;
    assert!(sim.fire_analytics("m1"));
    assert!(receiver.wait_until(DEADLINE, |r| r.call_count("/analytics") == 1).await);
    let calls = receiver.calls_of("/analytics");
    assert!(calls[0].header("authorization").unwrap().starts_with("Bearer eyJ"));
    let body: serde_json::Value = serde_json::from_slice(&calls[0].body).unwrap();
    assert!(body["data"]["metadata"]["analytics_callback_url"].is_string());
}

/// Opens a websocket, says hello and hears hello, and sees it reset when the server dies.
async fn websocket(sim: &Sim, target: &str, cookie: &str) {
    let mut socket = TcpStream::connect(sim.address()).await.unwrap();
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: sim\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{cookie}\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let hello = br#"{"type":"connection_init"}"#;
    let mut frame = vec![0x81, 0x80 | hello.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(hello);
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).ends_with("\r\n\r\n") {
        assert_ne!(socket.read_buf(&mut seen).await.unwrap(), 0);
    }
    assert!(seen.starts_with(b"HTTP/1.1 101 "), "{seen:?}");
    socket.write_all(&frame).await.unwrap();
    while !String::from_utf8_lossy(&seen).ends_with("connection_ack\"}") {
        assert_ne!(socket.read_buf(&mut seen).await.unwrap(), 0);
    }
    sim.stop().await;
    assert!(socket.read_buf(&mut seen).await.is_err());
    sim.restart().await.unwrap();
}

#[tokio::test]
async fn the_client_has_calls_of_its_own() {
    let sim = quick().await;
    get(&sim, "create", "meetingID=m1&name=One").await;
    let joined = get(&sim, "join", "meetingID=m1&fullName=A+B&role=VIEWER&redirect=false").await;
    let token = joined.element("session_token").unwrap();
    let cookie = joined.header("set-cookie").unwrap().split(';').next().unwrap();
    let cookie = format!("Cookie: {cookie}\r\n");
    let call = async |path: String, cookie: &str| {
        exchange(sim.address(), "GET", &path, cookie, "").await.unwrap()
    };
    let path = |call: &str| format!("/bigbluebutton/api/{call}?sessionToken={token}");
    assert!(call(path("stuns"), "").await.body.contains("FAILED"));
    assert!(call(path("stuns"), &cookie).await.body.contains("stunServers"));
    assert_eq!(call(path("enter"), &cookie).await.status, 404);

    let answer = call(path("getJoinUrl"), &cookie).await;
    let answer: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let url = answer["response"]["url"].as_str().unwrap().to_owned();
    let path_and_query = url[format!("http://{}", sim.address()).len()..].to_owned();
    let again = call(path_and_query, "").await;
    assert!(again.header("location").unwrap().contains("/html5client/"), "{again:?}");

    call(format!("/html5client/?sessionToken={token}"), &cookie).await;
    assert_eq!(sim.meeting("m1").unwrap().participants, 1);
    let graphql = format!("/graphql?sessionToken={token}");
    assert_eq!(call(graphql.clone(), "").await.status, 401);
    websocket(&sim, &graphql, &cookie).await;

    call(path("signOut"), &cookie).await;
    assert_eq!(sim.meeting("m1").unwrap().participants, 0);
}
