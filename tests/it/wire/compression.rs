//! Compressed answers, wanted and unwanted.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use tinyscale::bbb::url::ApiUrl;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::{Gateway, RawAnswer, World, ask, settings, signed, sims};

fn unzipped(answer: &RawAnswer) -> String {
    let mut text = String::new();
    GzDecoder::new(&answer.body[..]).read_to_string(&mut text).unwrap();
    text
}

fn get(call: &str, query: &str, encoding: &str) -> String {
    let signed = signed(call, query);
    format!(
        "GET /bigbluebutton/api/{call}?{signed} HTTP/1.1\r\nHost: lb\r\nAccept-Encoding: {encoding}\r\nConnection: close\r\n\r\n"
    )
}

#[tokio::test]
async fn m8_only_large_answers_and_only_for_those_who_ask() {
    let world = World::start(2).await;
    let merged = |encoding: &str| ask(world.gateway.address, &get("getMeetings", "", encoding));
    assert_eq!(merged("gzip").await.header("content-encoding"), "");
    for n in 0..20 {
        world.gateway.get("create", &format!("meetingID=room{n}&name=nn")).await.assert_success();
        world.server_of(&format!("room{n}")).add_users(&format!("room{n}"), 30);
    }
    let info = |encoding: &str| {
        ask(world.gateway.address, &get("getMeetingInfo", "meetingID=room1", encoding))
    };
    for encoding in ["UTF-8", "identity", "gzip;q=0", "br, deflate", "*"] {
        for answer in [merged(encoding).await, info(encoding).await] {
            assert_eq!(answer.header("content-encoding"), "", "{encoding}");
            assert_eq!(answer.header("vary"), "Accept-Encoding");
            assert!(answer.text().contains("SUCCESS"));
        }
    }
    for (plain, zipped) in
        [(merged("UTF-8").await, merged("gzip, br").await), (info("").await, info("gzip").await)]
    {
        assert_eq!(zipped.header("content-encoding"), "gzip");
        assert_eq!(unzipped(&zipped), plain.text());
        assert!(zipped.body.len() * 3 < plain.body.len());
    }
}

#[tokio::test]
async fn an_answer_that_fails_on_the_way_is_still_what_its_header_says() {
    let world = World::start(1).await;
    world.gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    world.sims[0].add_users("room", 100);
    for fault in [sim::Fault::ResetMidBody, sim::Fault::TruncatedXml] {
        world.sims[0].set_fault_once(fault, Some("getMeetingInfo"));
        let answer =
            ask(world.gateway.address, &get("getMeetingInfo", "meetingID=room", "gzip")).await;
        let text = if answer.header("content-encoding") == "gzip" {
            unzipped(&answer)
        } else {
            answer.text()
        };
        assert!(text.contains("<messageKey>internalError"), "{text}");
    }
}

const LIST: &str = "<response><returncode>SUCCESS</returncode><meetings><meeting><meetingID>room</meetingID>\
<internalMeetingID>i-1</internalMeetingID><createTime>1</createTime></meeting></meetings></response>";

/// A server that answers getMeetings as it should and everything else as told.
async fn server(info: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let info = Arc::new(info);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let info = info.clone();
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !request.windows(4).any(|four| four == b"\r\n\r\n") {
                    if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let is_list = String::from_utf8_lossy(&request).contains("/getMeetings?");
                let answer = if is_list { plain(LIST.as_bytes(), "") } else { info() };
                let _ = stream.write_all(&answer).await;
            });
        }
    });
    address
}

fn plain(body: &[u8], more: &str) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/xml;charset=UTF-8\r\n{more}Connection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn zip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

async fn gateway_to(address: SocketAddr) -> Gateway {
    let sims = sims(1).await;
    let mut settings = settings(&sims);
    settings.servers[0].spec.url = ApiUrl::parse(&format!("http://{address}")).unwrap();
    Gateway::start(settings).await
}

#[tokio::test]
async fn what_a_server_compresses_unasked_is_read_as_what_it_says() {
    const INFO: &str =
        "<response><returncode>SUCCESS</returncode><meetingID>room</meetingID></response>";
    let long = format!(
        "<response><returncode>SUCCESS</returncode><x>{}</x></response>",
        "ab ".repeat(200_000)
    );
    for (text, name) in [(INFO.to_owned(), "gzip"), (INFO.to_owned(), "x-gzip"), (long, "gzip")] {
        let body = zip(&text);
        let more = format!(
            "Content-Encoding: {name}\r\nSet-Cookie: a=b\r\nStrict-Transport-Security: max-age=9\r\n"
        );
        let address = server(move || plain(&body, &more)).await;
        let gateway = gateway_to(address).await;
        for encoding in ["UTF-8", "gzip"] {
            let answer =
                ask(gateway.address, &get("getMeetingInfo", "meetingID=room", encoding)).await;
            let zipped = answer.header("content-encoding") == "gzip";
            assert!(!zipped || encoding == "gzip");
            assert_eq!(if zipped { unzipped(&answer) } else { answer.text() }, text);
            assert_eq!(answer.header("set-cookie"), "");
            assert_eq!(answer.header("strict-transport-security"), "");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_unpacked_is_no_answer() {
    const GOOD: &str = "<response><returncode>SUCCESS</returncode></response>";
    let good = zip(GOOD);
    let cut = good[..good.len() - 4].to_vec();
    let html = zip("<html>maintenance</html>");
    let bomb = zip(&format!("<response>{}", " ".repeat(64 * 1024 * 1024)));
    for (what, body, encoding) in [
        ("cut", cut, "gzip"),
        ("html", html, "gzip"),
        ("plain", b"<response></response>".to_vec(), "gzip"),
        // Whatever it looks like: what it means is not known.
        ("unknown", GOOD.into(), "br"),
        ("empty", Vec::new(), "identity"),
        ("bomb", bomb, "gzip"),
    ] {
        let more = format!("Content-Encoding: {encoding}\r\n");
        let address = server(move || plain(&body, &more)).await;
        let gateway = gateway_to(address).await;
        let answer = ask(gateway.address, &get("getMeetingInfo", "meetingID=room", "UTF-8")).await;
        let text = answer.text();
        assert!(text.contains("<messageKey>internalError</messageKey>"), "{what}: {text:.200}");
    }
}
