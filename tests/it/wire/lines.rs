//! Request lines, methods, paths, header lines.

use sim::Fault;
use tinyscale::bbb::query;

use super::{only_call, roomy};
use crate::harness::{RawAnswer, World, ask, raw_bytes, signed};

fn request(method: &str, target: &str, more: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: lb\r\nConnection: close\r\n{more}\r\n")
}

#[track_caller]
fn assert_refused(answer: &RawAnswer, key: &str, what: &str) {
    let text = answer.text();
    assert_eq!(answer.status, 200, "{what}");
    assert!(text.contains(&format!("<messageKey>{key}</messageKey>")), "{what}: {text}");
    assert_eq!(answer.header("content-type"), "text/xml;charset=UTF-8", "{what}");
}

/// M5, C10 and `bbb-api.md` 10.11: nginx on a server takes lines of 8 KiB.
#[tokio::test]
async fn long_creates_become_forms_that_every_server_understands() {
    let world = roomy(1).await;
    for (n, pairs) in [10, 400, 1100].into_iter().enumerate() {
        let meta: String = (0..pairs)
            .map(|i| format!("&meta_k{i}=%C3%9C+%F0%9F%98%80+{}", "v".repeat(20)))
            .collect();
        let query = format!("meetingID=room{n}&name=G%C3%B6%2B{meta}");
        let answer = world.gateway.get("create", &query).await;
        answer.assert_success();
        let meeting = world.sims[0].meeting(&format!("room{n}")).unwrap();
        assert_eq!(meeting.name, "Gö+");
        let call = world.sims[0].calls_of("create").pop().unwrap();
        assert_eq!(call.method, if n == 0 { "GET" } else { "POST" });
        assert_eq!(call.checksum, Some(true));
        let params = if n == 0 { call.query() } else { std::str::from_utf8(&call.body).unwrap() };
        let last = query::first(params, &format!("meta_k{}", pairs - 1));
        assert_eq!(last.unwrap(), format!("Ü 😀 {}", "v".repeat(20)));
    }
}

/// A query that is too long and an XML body cannot both travel in a way that every server understands: the line
/// goes on as it is, and the server decides.
#[tokio::test]
async fn a_long_line_with_slides_is_left_to_the_server() {
    let world = World::start(1).await;
    let query = format!("meetingID=room&name=nn&welcome={}", "x".repeat(9000));
    let answer = world.gateway.post("create", &query, "application/xml", "<modules/>").await;
    answer.assert_failed("internalError");
    assert_eq!(world.copies("room"), 0);
}

#[tokio::test]
async fn lines_of_almost_64_kib_are_taken() {
    let world = roomy(1).await;
    let query = format!("meetingID=room&name=nn&welcome={}", "x".repeat(64_000));
    world.gateway.get("create", &query).await.assert_success();
    let body = only_call(&world, "create").body;
    let welcome = query::first(std::str::from_utf8(&body).unwrap(), "welcome").unwrap();
    assert_eq!(welcome.len(), 64_000);
}

#[tokio::test]
async fn headers_are_bounded_in_number_and_size() {
    let world = World::start(1).await;
    let target = format!("/bigbluebutton/api/getMeetings?{}", signed("getMeetings", ""));
    let many: String = (0..120).map(|n| format!("X-{n}: v\r\n")).collect();
    let long = format!("Cookie: {}\r\n", "c".repeat(40_000));
    for more in [many, long] {
        let answer = ask(world.gateway.address, &request("GET", &target, &more)).await;
        assert_refused(&answer, "requestTooLarge", &more[..20]);
    }
    let usual: String = (0..60).map(|n| format!("X-{n}: {}\r\n", "v".repeat(300))).collect();
    let answer = ask(world.gateway.address, &request("GET", &target, &usual)).await;
    assert!(answer.text().contains("SUCCESS"));
}

/// Where two parsers could part ways, nobody gets an answer that matters.
#[tokio::test]
async fn headers_that_can_be_read_in_two_ways_are_refused() {
    let world = World::start(1).await;
    let target = format!("/bigbluebutton/api/getMeetings?{}", signed("getMeetings", ""));
    for more in [
        "X: y\nZ: w\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let answer = ask(world.gateway.address, &request("GET", &target, more)).await;
        assert_refused(&answer, "malformedRequest", more);
        assert_eq!(answer.header("connection"), "close", "{more}");
    }
}

/// Design rule 7 over C19: on API paths even a method that nobody sends is answered in BBB's XML.
#[tokio::test]
async fn methods() {
    let world = World::start(1).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    let target = format!("/bigbluebutton/api/end?{}", signed("end", "meetingID=room"));
    for method in ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "PROPFIND", "get", "FOO"] {
        let secret = "X-Private: canary\r\n";
        let answer = ask(world.gateway.address, &request(method, &target, secret)).await;
        assert_refused(&answer, "unsupportedRequest", method);
        assert!(!answer.text().contains("canary"));
    }
    assert_eq!(world.sims[0].call_count("end"), 0);
    let connect = ask(world.gateway.address, &request("CONNECT", "lb:443", "")).await;
    assert_eq!(connect.status, 405);
}

/// M2 included: the index answers whoever asks.
#[tokio::test]
async fn head_is_get_without_the_body() {
    let world = World::start(1).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    for (call, query) in [
        ("", ""),
        ("getMeetings", ""),
        ("getMeetingInfo", "meetingID=room"),
        ("getMeetingInfo", "meetingID=x"),
    ] {
        let target = format!("/bigbluebutton/api/{call}?{}", signed(call, query));
        let bytes = raw_bytes(world.gateway.address, request("HEAD", &target, "").as_bytes()).await;
        let answer = String::from_utf8(bytes).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n") && !answer.contains('<'), "{answer}");
        assert!(answer.contains("text/xml"), "{answer}");
    }
}

#[tokio::test]
async fn old_clients_and_whole_urls_are_understood() {
    let world = World::start(1).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    let query = signed("getMeetingInfo", "meetingID=room");
    for target in [
        format!("/bigbluebutton/api/getMeetingInfo?{query}"),
        format!("http://lb/bigbluebutton/api/getMeetingInfo?{query}"),
        format!("//bigbluebutton//api//getMeetingInfo/?{query}"),
    ] {
        let answer = ask(world.gateway.address, &request("GET", &target, "")).await;
        assert!(answer.text().contains("<returncode>SUCCESS"), "{target}: {}", answer.text());
    }
    for host in ["", "Host: lb\r\n"] {
        let old = format!("GET /bigbluebutton/api/getMeetingInfo?{query} HTTP/1.0\r\n{host}\r\n");
        let answer = ask(world.gateway.address, &old).await;
        assert_eq!(answer.header("transfer-encoding"), "");
        let text = answer.text();
        assert!(text.contains("SUCCESS") && text.trim_end().ends_with("</response>"), "{text}");
    }
}

#[tokio::test]
async fn paths_are_taken_as_they_are_written() {
    let world = World::start(1).await;
    let query = signed("getMeetings", "");
    let long = format!("/bigbluebutton/api/{}", "a/".repeat(30_000));
    for path in [
        "/bigbluebutton/api/GetMeetings",
        "/BigBlueButton/api/getMeetings",
        "/bigbluebutton/api/%67etMeetings",
        "/bigbluebutton/api/%2e%2e/api/getMeetings",
        "/bigbluebutton/api/../api/getMeetings",
        "/bigbluebutton%2fapi%2fgetMeetings",
        "/bigbluebutton/api/getMeetings;a=b",
        "/bigbluebutton/api/getMeetings.xml",
        "/bigbluebutton/api/getMeetings%00",
        "/bigbluebutton/presentation/x",
        long.as_str(),
    ] {
        let answer =
            ask(world.gateway.address, &request("GET", &format!("{path}?{query}"), "")).await;
        assert_refused(&answer, "unsupportedRequest", &path[..path.len().min(60)]);
    }
}

/// M9, M11: what libraries trip over.
#[tokio::test]
async fn answers_look_as_libraries_expect_them() {
    let world = World::start(1).await;
    for (call, query) in [
        ("create", "meetingID=room&name=nn"),
        ("create", "meetingID=room&name=nn"),
        ("getMeetingInfo", "meetingID=room"),
        ("getMeetings", ""),
        ("getRecordings", ""),
        ("getMeetingInfo", "meetingID=x"),
        ("", ""),
    ] {
        let target = format!("/bigbluebutton/api/{call}?{}", signed(call, query));
        let answer = ask(world.gateway.address, &request("GET", &target, "")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "text/xml;charset=UTF-8", "{call}");
        assert!(answer.lines.iter().all(|line| line.contains(": ")), "{:?}", answer.lines);
        assert_eq!(answer.header("set-cookie"), "", "{call}");
        assert_eq!(answer.header("server"), "", "{call}: {:?}", answer.lines);
        if call == "create" {
            let text = answer.text();
            assert!(text.contains("messageKey>") && text.contains("message>"), "{text}");
        }
    }
}

#[tokio::test]
async fn requests_sent_ahead_are_answered_in_their_order() {
    let world = World::start(1).await;
    world.sims[0]
        .set_fault_once(Fault::Delay(std::time::Duration::from_millis(300)), Some("create"));
    let line = |call: &str, query: &str, end: &str| {
        let signed = signed(call, query);
        format!("GET /bigbluebutton/api/{call}?{signed} HTTP/1.1\r\nHost: lb\r\n{end}\r\n")
    };
    let all = [
        line("create", "meetingID=room&name=nn", ""),
        line("isMeetingRunning", "meetingID=unknown", ""),
        line("getMeetingInfo", "meetingID=room", ""),
        line("getMeetings", "", "Connection: close\r\n"),
    ]
    .concat();
    let bytes = raw_bytes(world.gateway.address, all.as_bytes()).await;
    let mut rest: &[u8] = &bytes;
    for expected in ["<createTime>", "<running>false", "<attendees", "<meetings>"] {
        let shown = String::from_utf8_lossy(rest).into_owned();
        let (answer, after) =
            RawAnswer::first_of(rest).unwrap_or_else(|| panic!("{expected} in {shown}"));
        assert!(answer.text().contains(expected), "{expected}: {}", answer.text());
        rest = after;
    }
    assert_eq!((rest.len(), world.copies("room")), (0, 1));
}

/// The known limits of docs/api.md: what the HTTP library refuses before anybody is asked, and the next smaller
/// thing that is answered in BBB's form.
#[tokio::test]
async fn what_the_http_library_refuses_by_itself() {
    let world = World::start(1).await;
    let target = |bytes: usize| {
        let start = "/bigbluebutton/api/getMeetings?x=";
        format!("{start}{}", "x".repeat(bytes - start.len()))
    };
    let lines = |count: usize| (0..count).map(|n| format!("X-{n}: v\r\n")).collect::<String>();
    for (target, more) in [(target(65_535), String::new()), (target(100), lines(260))] {
        let answer = ask(world.gateway.address, &request("GET", &target, &more)).await;
        assert_eq!((answer.status, &*answer.body), (400, &b""[..]));
    }
    let bytes = b"GET /bigbluebutton/api/getMeetings?x=\xff HTTP/1.1\r\nHost: lb\r\n\r\n";
    let answer = raw_bytes(world.gateway.address, bytes).await;
    assert_eq!(RawAnswer::first_of(&answer).unwrap().0.status, 400);
    for (target, more, key) in [
        (target(65_534), String::new(), "checksumError"),
        (target(100), lines(250), "requestTooLarge"),
    ] {
        let answer = ask(world.gateway.address, &request("GET", &target, &more)).await;
        assert_refused(&answer, key, key);
    }
}
