//! Requests that two programs could read in two ways. Refused, or harmless: whatever is said to such a request,
//! the one hidden in it is never carried out.

use crate::harness::{World, raw, signed};

/// What is odd, the header lines between the request line and the blank one, and what stands before the hidden
/// request; LEN is the hidden request's length.
const CASES: &[(&str, &str, &str)] = &[
    ("length, chunks", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    ("chunks, length", "Transfer-Encoding: chunked\r\nContent-Length: LEN\r\n", "0\r\n\r\n"),
    ("two lengths", "Content-Length: 0\r\nContent-Length: LEN\r\n", ""),
    ("the same length twice", "Content-Length: 1\r\nContent-Length: 1\r\n", "x"),
    ("a list of lengths", "Content-Length: 0, LEN\r\n", ""),
    ("a signed length", "Content-Length: +1\r\n", "x"),
    ("a hexadecimal length", "Content-Length: 0x1\r\n", "x"),
    ("no end of chunks", "Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
    ("identity before chunks", "Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\n"),
    ("gzip before chunks", "Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
    ("two encodings", "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    ("another word", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
    ("a tab before the word", "Transfer-Encoding:\tchunked\r\n", "0\r\n\r\n"),
    ("a blank before the colon", "Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
    ("a folded line", "X: a\r\n Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    ("two hosts", "Host: other\r\nContent-Length: 0\r\n", ""),
    ("a line without CR", "X: y\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n", "x"),
    ("an end without CR", "Content-Length: 1\r\n\n", "x"),
    ("a CR alone", "X: y\rTransfer-Encoding: chunked\r\nContent-Length: 1\r\n", "x"),
    ("a NUL", "X: \0\r\nContent-Length: 1\r\n", "x"),
    ("a negative chunk", "Transfer-Encoding: chunked\r\n", "-1\r\n\r\n"),
    ("a huge chunk", "Transfer-Encoding: chunked\r\n", "FFFFFFFFFFFFFFFFF\r\n\r\n"),
    ("a chunk that ends wrong", "Transfer-Encoding: chunked\r\n", "1\r\nxx\r\n0\r\n\r\n"),
    ("a chunk without CR", "Transfer-Encoding: chunked\r\n", "1\nx\n0\n\n"),
    ("more after the body", "Content-Length: 1\r\n", "x"),
];

#[tokio::test]
async fn what_is_hidden_in_a_request_is_never_one() {
    let world = World::start(1).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    let end = signed("end", "meetingID=room");
    let hidden = format!("GET /bigbluebutton/api/end?{end} HTTP/1.1\r\nHost: lb\r\n\r\n");
    let create = signed("create", "meetingID=room&name=nn");
    for (method, version) in [("POST", "1.1"), ("POST", "1.0"), ("GET", "1.1")] {
        let line = format!("{method} /bigbluebutton/api/create?{create} HTTP/{version}\r\n");
        let head = format!("{line}Host: lb\r\nContent-Type: application/xml\r\n");
        for (odd, lines, before) in CASES {
            let what = format!("{odd} on {method} {version}");
            let lines = lines.replace("LEN", &hidden.len().to_string());
            let request = format!("{head}{lines}\r\n{before}{hidden}");
            let answer = raw(world.gateway.address, request.as_bytes()).await;
            let answers = answer.matches("HTTP/1.").count();
            assert!(answers <= 1, "{what}: {answer}");
            // What cannot even be parsed is refused by Pingora, without XML; no front end sends such.
            let fine = answer.contains("</response>") || answer.starts_with("HTTP/1.1 400");
            assert!(answers == 0 || fine, "{what}: {answer}");
            assert_eq!(world.sims[0].call_count("end"), 0, "{what}");
        }
    }
    assert!(world.sims[0].meeting("room").is_some());
}

#[tokio::test]
async fn chunk_extensions_cost_their_sender_only() {
    let world = World::start(1).await;
    let head = format!(
        "POST /bigbluebutton/api/create?{} HTTP/1.1\r\nHost: lb\r\nContent-Type: application/xml\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        signed("create", "meetingID=room&name=nn")
    );
    for extension in [";a=b".to_owned(), format!(";{}", "e".repeat(3_000_000))] {
        let request = format!("{head}a{extension}\r\n<modules/>\r\n0\r\n\r\n");
        let answer = raw(world.gateway.address, request.as_bytes()).await;
        assert!(answer.contains("</response>") || answer.is_empty(), "{answer}");
    }
    let many: String = (0..50_000).map(|_| "1;eeeeeeeeeeeeeee\r\n \r\n").collect();
    let answer = raw(world.gateway.address, format!("{head}{many}0\r\n\r\n").as_bytes()).await;
    assert!(answer.contains("</response>"), "{answer}");
    world.gateway.get("getMeetings", "").await.assert_success();
}

/// Only what a server needs reaches it, whatever the client says of itself.
#[tokio::test]
async fn a_clients_header_lines_stay_here() {
    let world = World::start(1).await;
    let request = format!(
        "GET /bigbluebutton/api/create?{} HTTP/1.1\r\nHost: evil.example\r\nConnection: close, X-Forwarded-For\r\n\
         Upgrade: websocket\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: evil\r\nX-Real-IP: 6.6.6.6\r\n\
         Cookie: JSESSIONID=x\r\nAuthorization: Bearer x\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n\
         Content-Type: application/json\r\nX-HTTP-Method-Override: DELETE\r\nExpect: 100-continue\r\n\r\n",
        signed("create", "meetingID=room&name=nn")
    );
    let answer = raw(world.gateway.address, request.as_bytes()).await;
    assert!(answer.contains("<returncode>SUCCESS"), "{answer}");
    let call = world.sims[0].calls_of("create").pop().unwrap();
    for name in [
        "cookie",
        "authorization",
        "accept-encoding",
        "content-type",
        "x-http-method-override",
        "expect",
        "upgrade",
    ] {
        assert_eq!(call.header(name), None, "{name}");
    }
    assert_eq!(call.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(call.header("x-real-ip"), Some("127.0.0.1"));
    assert_eq!(call.header("x-forwarded-host"), Some("evil.example"));
    assert_eq!(call.header("accept"), Some("*/*"));
    assert_eq!(call.header("host").unwrap(), world.sims[0].address().to_string());
}
