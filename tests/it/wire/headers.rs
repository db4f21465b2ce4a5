//! Whole answers and requests, header line by header line: one that is missing, changed or too many is seen here.

use crate::harness::{RawAnswer, World, ask, signed};

/// The header lines, names in lower case, sorted, without the clock, the length and the connection's end.
fn lines(answer: &RawAnswer) -> Vec<String> {
    let lines = answer.lines.iter().filter_map(|line| line.split_once(": "));
    let mut lines: Vec<String> = lines
        .map(|(name, value)| format!("{}: {value}", name.to_ascii_lowercase()))
        .filter(|line| {
            !["date: ", "content-length: ", "transfer-encoding: ", "connection: "]
                .iter()
                .any(|name| line.starts_with(name))
        })
        .collect();
    lines.sort();
    lines
}

const XML: &str = "content-type: text/xml;charset=UTF-8";
const JSON: &str = "content-type: application/json;charset=UTF-8";
const NO_CACHE: &str = "cache-control: no-cache";
const NO_STORE: &str = "cache-control: no-store";
const NO_REFERRER: &str = "referrer-policy: no-referrer";
/// What the edge adds where nothing stricter is said.
const REFERRER: &str = "referrer-policy: strict-origin-when-cross-origin";
const NOSNIFF: &str = "x-content-type-options: nosniff";
const VARY: &str = "vary: Accept-Encoding";
const GZIP: &str = "content-encoding: gzip";

async fn call(world: &World, call: &str, query: &str, more: &str) -> RawAnswer {
    let target = format!("/bigbluebutton/api/{call}?{}", signed(call, query));
    let request =
        format!("GET {target} HTTP/1.1\r\nHost: lb.example\r\nConnection: close\r\n{more}\r\n");
    ask(world.gateway.address, &request).await
}

/// M1, M8, M9: what tinyscale says itself has these lines and no others.
#[tokio::test]
async fn own_answers_line_by_line() {
    let world = World::start(1).await;
    let browser = "Accept: text/html\r\n";
    let gzip = "Accept-Encoding: gzip\r\n";
    for (name, query, more, status, expected) in [
        ("", "", "", 200, &[NO_CACHE, XML, REFERRER, NOSNIFF][..]),
        ("", "", gzip, 200, &[NO_CACHE, XML, REFERRER, NOSNIFF]),
        ("getMeetings", "", "", 200, &[NO_CACHE, XML, REFERRER, NOSNIFF]),
        ("getRecordings", "", "", 200, &[NO_CACHE, XML, REFERRER, NOSNIFF]),
        ("isMeetingRunning", "meetingID=none", "", 200, &[NO_CACHE, XML, REFERRER, NOSNIFF]),
        ("getMeetingInfo", "meetingID=none", "", 200, &[NO_CACHE, XML, REFERRER, NOSNIFF]),
        ("join", "meetingID=none&fullName=a", "", 200, &[NO_CACHE, XML, REFERRER, NOSNIFF]),
        (
            "getRecordingTextTracks",
            "recordID=none-1",
            "",
            200,
            &[NO_CACHE, JSON, REFERRER, NOSNIFF],
        ),
        (
            "join",
            "meetingID=none&fullName=a&logoutURL=https%3A%2F%2Flms.example",
            browser,
            302,
            &[NO_STORE, "location: ", NO_REFERRER, NOSNIFF],
        ),
        (
            "join",
            "meetingID=none&fullName=a",
            browser,
            200,
            &[
                NO_STORE,
                "content-security-policy: ",
                "content-type: text/html;charset=UTF-8",
                NO_REFERRER,
                NOSNIFF,
                "x-robots-tag: noindex",
            ],
        ),
    ] {
        let answer = call(&world, name, query, more).await;
        let seen = lines(&answer);
        assert_eq!(answer.status, status, "{name} {query}: {seen:?}");
        assert_eq!(seen.len(), expected.len(), "{name} {query}: {seen:?}");
        for (line, start) in seen.iter().zip(expected) {
            let is_whole = line == start || start.ends_with(": ") && line.starts_with(start);
            assert!(is_whole, "{name} {query}: {line} is not {start}");
        }
    }
}

/// M8: what is large enough says that it depends on Accept-Encoding, and is packed only for who asks.
#[tokio::test]
async fn large_answers_line_by_line() {
    let world = World::start(1).await;
    for n in 0..4 {
        let create = format!("meetingID=room{n}&name=nn&meta_a={}", "x".repeat(600));
        world.gateway.get("create", &create).await.assert_success();
    }
    for (more, expected) in [
        ("", &[NO_CACHE, XML, REFERRER, VARY, NOSNIFF][..]),
        ("Accept-Encoding: UTF-8\r\n", &[NO_CACHE, XML, REFERRER, VARY, NOSNIFF]),
        ("Accept-Encoding: gzip;q=0\r\n", &[NO_CACHE, XML, REFERRER, VARY, NOSNIFF]),
        ("Accept-Encoding: gzip\r\n", &[NO_CACHE, GZIP, XML, REFERRER, VARY, NOSNIFF]),
    ] {
        let answer = call(&world, "getMeetings", "", more).await;
        assert_eq!(lines(&answer), expected, "{more}");
    }
}

/// What a server gets of a client's header: its own host, the User-Agent, who asks as the edge saw it,
/// and nothing that belongs to the connection or to the browser.
#[tokio::test]
async fn requests_to_servers_line_by_line() {
    let world = World::start(1).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    world.sims[0].clear_calls();
    let more = "User-Agent: Moodle\r\nAccept: text/html\r\nAccept-Encoding: gzip\r\nCookie: a=b\r\n\
        Content-Type: application/json\r\nAuthorization: Bearer a\r\nReferer: https://lms.example/\r\n\
        X-Forwarded-For: 192.0.2.1\r\nX-Api-Key: a\r\n";
    let answer = call(&world, "getMeetingInfo", "meetingID=room", more).await;
    assert!(answer.text().contains("SUCCESS"));
    let sent = world.sims[0].calls_of("getMeetingInfo").remove(0);
    let mut headers: Vec<String> =
        sent.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    headers.sort();
    let host = format!("host: {}", world.sims[0].address());
    // Who asked, and for which name, is what the edge saw, whatever the client says of it.
    let expected = [
        "accept: */*",
        "forwarded: for=127.0.0.1;proto=http;host=\"lb.example\"",
        &*host,
        "user-agent: Moodle",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: lb.example",
        "x-forwarded-proto: http",
        "x-real-ip: 127.0.0.1",
    ];
    assert_eq!(headers, expected);
}
