//! Every fault, as a client sees it.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::tests::{DEADLINE, exchange, get, quick, target};
use crate::{Fault, Sim};

/// The error of a signed GET, and what it left behind.
async fn failing(sim: &Sim, call: &str, query: &str) -> ErrorKind {
    exchange(sim.address(), "GET", &target(sim, call, query), "", "").await.unwrap_err().kind()
}

#[tokio::test]
async fn pages_instead_of_answers() {
    let sim = quick().await;
    let cases = [
        (Fault::Status(500), 500, "text/html;charset=utf-8", "Error"),
        (Fault::BadGateway, 502, "text/html;charset=utf-8", "<center>nginx</center>"),
        (Fault::Html200, 200, "text/html;charset=utf-8", "Maintenance"),
        (Fault::Empty200, 200, "text/xml;charset=UTF-8", ""),
        (Fault::WrongXml, 200, "text/xml;charset=UTF-8", "<unexpected>"),
        (Fault::Oversized(100_000), 200, "text/xml;charset=UTF-8", "xxxx"),
    ];
    for (fault, status, kind, part) in cases {
        sim.set_fault_once(fault.clone(), Some("create"));
        let answer = get(&sim, "create", "meetingID=m1&name=One").await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, Some(kind)),
            "{fault:?}"
        );
        assert!(answer.body.contains(part), "{fault:?}");
        assert_eq!(sim.meeting_count(), 0, "{fault:?} must not process the call");
    }
    assert_eq!(sim.call_count("create"), 6);
}

#[tokio::test]
async fn resets_before_and_after_processing() {
    let sim = quick().await;
    let cases =
        [(Fault::ResetBefore, false), (Fault::ResetAfter, true), (Fault::ResetMidBody, true)];
    for (fault, processed) in cases {
        sim.set_fault_once(fault.clone(), Some("create"));
        let kind = failing(&sim, "create", "meetingID=m1&name=One").await;
        assert_eq!(kind, ErrorKind::ConnectionReset, "{fault:?}");
        assert_eq!(sim.forget("m1"), processed, "{fault:?}");
    }
}

#[tokio::test]
async fn a_cut_body_arrives_by_half() {
    let sim = quick().await;
    sim.set_fault(Fault::ResetMidBody, None);
    let mut socket = TcpStream::connect(sim.address()).await.unwrap();
    let request = format!("GET {} HTTP/1.1\r\nHost: sim\r\n\r\n", target(&sim, "getMeetings", ""));
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let end = tokio::io::AsyncReadExt::read_to_end(&mut socket, &mut bytes).await;
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("<returncode>") && !text.contains("</response>"), "{text}");
}

#[tokio::test]
async fn truncated_xml_is_complete_http() {
    let sim = quick().await;
    sim.set_fault_once(Fault::TruncatedXml, None);
    let answer = get(&sim, "getMeetings", "").await;
    assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
    assert!(answer.body.starts_with("<response>") && !answer.body.contains("</response>"));
}

#[tokio::test]
async fn hanging_calls_hang_until_the_server_dies() {
    let sim = quick().await;
    sim.set_fault_once(Fault::Hang, Some("create"));
    sim.set_fault_once(Fault::HangAfter, Some("create"));
    let hang = |query: &'static str| {
        let sim = sim.clone();
        tokio::spawn(async move { failing(&sim, "create", query).await })
    };
    let first = hang("meetingID=m1&name=One");
    assert!(sim.wait_until(DEADLINE, |sim| sim.call_count("create") == 1).await);
    let second = hang("meetingID=m2&name=Two");
    assert!(sim.wait_until(DEADLINE, |sim| sim.meeting_count() == 1).await);
    assert!(sim.meeting("m2").is_some());
    assert!(!first.is_finished() && !second.is_finished());
    sim.stop().await;
    assert_eq!(first.await.unwrap(), ErrorKind::ConnectionReset);
    assert_eq!(second.await.unwrap(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn slow_answers_arrive_whole() {
    let sim = quick().await;
    sim.set_fault(Fault::Delay(Duration::from_millis(5)), None);
    sim.set_fault(Fault::Trickle(Duration::from_millis(1)), None);
    let answer = get(&sim, "getMeetings", "").await;
    answer.expect("messageKey", "noMeetings");
    assert!(answer.body.trim_end().ends_with("</response>"));
    assert_eq!(sim.fault_count(), 2);
    sim.clear_faults();
    assert_eq!(sim.fault_count(), 0);
}
