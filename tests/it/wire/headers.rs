//! Whole answers and requests, header line by header line: one that is missing, changed or too many is seen here.

use crate::harness::{Gateway, RawAnswer, World, ask, configured, signed};

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
    without_id(&mut lines);
    lines
}

/// Sorts the lines, and takes the ID out that every request has.
#[track_caller]
fn without_id(lines: &mut Vec<String>) {
    lines.sort();
    let before = lines.len();
    lines.retain(|line| match line.strip_prefix("x-request-id: ") {
        Some(id) => id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => true,
    });
    assert_eq!(lines.len() + 1, before, "not one ID: {lines:?}");
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
    without_id(&mut headers);
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

/// A server of one answer, to a create with this status, which says everything about itself that a server can say in a header.
fn talkative(status: &'static str) -> std::net::SocketAddr {
    use std::io::{Read, Write};
    let body = "<response><returncode>SUCCESS</returncode><meetingID>room</meetingID>\
        <internalMeetingID>i-1</internalMeetingID><createTime>1</createTime><meetings/></response>";
    let rest = format!(
        "Server: nginx\r\nContent-Type: text/xml;charset=utf-8\r\n\
         Cache-Control: no-cache, no-store\r\nPragma: no-cache\r\nExpires: 0\r\n\
         Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\nSet-Cookie: JSESSIONID=a\r\nETag: \"a\"\r\n\
         Strict-Transport-Security: max-age=1\r\nX-Powered-By: a\r\nAlt-Svc: h3=\":443\"\r\n\
         Access-Control-Allow-Origin: *\r\nLink: <a>\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                head.push(byte[0]);
            }
            let is_create = String::from_utf8_lossy(&head).contains("/create?");
            let status = if is_create { status } else { "200 OK" };
            let _ = stream.write_all(format!("HTTP/1.1 {status}\r\n{rest}").as_bytes());
        }
    });
    address
}

async fn in_front_of(server: std::net::SocketAddr) -> World {
    let list = format!("  - {{ name: bbb1, url: \"http://{server}/bigbluebutton\", secret: s }}\n");
    World { sims: Vec::new(), gateway: Gateway::start(configured(&list)).await }
}

/// `clients.md` 3.1: of what a server says in its header, only what is about the answer itself goes on.
#[tokio::test]
async fn answers_of_servers_line_by_line() {
    let world = in_front_of(talkative("200 OK")).await;
    let answer = call(&world, "create", "meetingID=room&name=nn", "").await;
    assert!(answer.text().contains("i-1"), "{}", answer.text());
    let expected = [
        "cache-control: no-cache, no-store",
        "content-type: text/xml;charset=utf-8",
        "expires: 0",
        "last-modified: Thu, 01 Jan 1970 00:00:00 GMT",
        "pragma: no-cache",
        REFERRER,
        NOSNIFF,
    ];
    assert_eq!(lines(&answer), expected);
}

/// An answer with another status than 200 is none, even if it reads like one.
#[tokio::test]
async fn only_status_200_is_an_answer() {
    for status in ["203 Maybe", "302 Found", "404 Not Found"] {
        let world = in_front_of(talkative(status)).await;
        let answer = call(&world, "create", "meetingID=room&name=nn", "").await;
        assert!(answer.text().contains("<messageKey>internalError"), "{status}: {answer:?}");
    }
}
