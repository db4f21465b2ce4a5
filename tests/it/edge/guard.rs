//! Limits for clients, through real sockets: who is refused, how, and who never is.

use std::time::Duration;

use futures::StreamExt;
use sim::Fault;
use tinyscale::config::settings::traffic::AbuseSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{DEADLINE, Gateway, World, fetch, http, raw, settings, sims};

async fn limited(abuse: AbuseSettings) -> World {
    let sims = sims(1).await;
    let gateway = Gateway::start({
        let mut settings = settings(&sims);
        settings.abuse = abuse;
        settings
    });
    World { gateway: gateway.await, sims }
}

#[tokio::test]
async fn who_asks_too_much_is_refused_in_the_form_that_fits() {
    // None comes back, so that it does not matter how long anything takes.
    let world = limited(AbuseSettings { burst: 2, requests: 0, ..AbuseSettings::default() }).await;
    let elsewhere = || http().get(format!("http://{}/nothing", world.gateway.address));
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    assert_ne!(fetch(elsewhere()).await.status, 429);
    let refused = world.gateway.get("create", "meetingID=other&name=nn").await;
    assert!(refused.assert_failed("tooManyRequests").is_bbb_xml(), "{refused:?}");
    let refused = fetch(elsewhere()).await;
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").parse::<u32>().is_ok(), "{refused:?}");
    assert!(world.sims[0].meeting("other").is_none());
}

#[tokio::test]
async fn who_is_exempt_is_not_refused() {
    let exempt = vec!["127.0.0.0/8".parse().unwrap()];
    let none = AbuseSettings { burst: 0, requests: 0, connections: 0, ..AbuseSettings::default() };
    let world = limited(AbuseSettings { exempt, ..none }).await;
    for _ in 0..20 {
        world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    }
}

#[tokio::test]
async fn a_secret_has_its_own_limit_and_nobody_is_exempt_from_it() {
    let exempt = vec!["127.0.0.0/8".parse().unwrap()];
    let secret_requests = Some(0);
    let world =
        limited(AbuseSettings { exempt, secret_requests, ..AbuseSettings::default() }).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_failed("tooManyRequests");
    // Whoever has no secret does not use it up, and learns nothing of it.
    let forged = http().get(format!("{}/create?meetingID=room&checksum=0", world.gateway.api()));
    fetch(forged).await.assert_failed("checksumError");
}

#[tokio::test]
async fn a_thousand_joins_from_one_address_pass() {
    let world = World::start(1).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    let joins = futures::stream::iter(0..1000).map(|n| {
        let query = format!("meetingID=room&fullName=n{n}&role=VIEWER");
        let gateway = &world.gateway;
        async move { gateway.get("join", &query).await.status }
    });
    let statuses: Vec<u16> = joins.buffer_unordered(32).collect().await;
    assert_eq!(statuses, [302; 1000]);
}

const INDEX: &[u8] = b"GET /bigbluebutton/api HTTP/1.1\r\nHost: bbb.test\r\n\r\n";

/// Asks for the version on this connection, and reads the answer.
async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(INDEX).await.unwrap();
    read_until(stream, "</response>").await
}

/// What comes until these words, or until the other side closes.
async fn read_until(stream: &mut TcpStream, words: &str) -> String {
    let mut text = String::new();
    let reading = async {
        let mut buffer = [0; 4096];
        while !text.contains(words) {
            match stream.read(&mut buffer).await {
                Ok(count @ 1..) => text.push_str(&String::from_utf8_lossy(&buffer[..count])),
                Ok(0) | Err(_) => break,
            }
        }
    };
    tokio::time::timeout(DEADLINE, reading).await.unwrap();
    text
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_no_more() {
    let world = limited(AbuseSettings { connections: 1, ..AbuseSettings::default() }).await;
    let mut first = TcpStream::connect(world.gateway.address).await.unwrap();
    assert!(ask(&mut first).await.contains("SUCCESS"));
    assert_eq!(raw(world.gateway.address, INDEX).await, "");
    // The first one works on, and makes room when it ends.
    assert!(ask(&mut first).await.contains("SUCCESS"));
    drop(first);
    let passed = async {
        let closing = b"GET /bigbluebutton/api HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        while raw(world.gateway.address, closing).await.is_empty() {}
    };
    tokio::time::timeout(DEADLINE, passed).await.unwrap();
}

#[tokio::test]
async fn a_header_that_does_not_end_is_not_waited_for() {
    let header_time = Duration::from_millis(300);
    let world = limited(AbuseSettings { header_time, ..AbuseSettings::default() }).await;
    let mut slow = TcpStream::connect(world.gateway.address).await.unwrap();
    slow.write_all(b"GET /bigbluebutton/api HTTP/1.1\r\nHost: bbb.test\r\n").await.unwrap();
    assert_eq!(read_until(&mut slow, "</response>").await, "");
    // A byte now and then does not help.
    let mut slow = TcpStream::connect(world.gateway.address).await.unwrap();
    let dripping = async {
        while slow.write_all(b"X").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, dripping).await.unwrap();
}

#[tokio::test]
async fn the_time_of_a_header_is_not_that_of_an_answer_or_of_a_pause() {
    let header_time = Duration::from_millis(200);
    let world = limited(AbuseSettings { header_time, ..AbuseSettings::default() }).await;
    let mut kept = TcpStream::connect(world.gateway.address).await.unwrap();
    assert!(ask(&mut kept).await.contains("SUCCESS"));
    // A server that takes longer than a header may: its answer arrives.
    world.sims[0].set_fault(Fault::Delay(header_time * 3), Some("create"));
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    // And meanwhile the other connection was idle for longer than that.
    assert!(ask(&mut kept).await.contains("SUCCESS"));
}
