//! The cluster proxy: what browsers reach of a server, byte for byte, and that they reach nothing else.

use tinyscale::config::settings::ClusterProxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{DEADLINE, World, ask, settings, sims};

async fn world(mode: ClusterProxy) -> World {
    let sims = sims(2).await;
    let mut settings = settings(&sims);
    settings.cluster_proxy = mode;
    let gateway = crate::harness::Gateway::start(settings).await;
    for sim in &sims {
        sim.clear_calls();
    }
    World { sims, gateway }
}

fn request(method: &str, target: &str) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\nHost: public.test\r\nCookie: a=b\r\nConnection: close\r\n\r\n"
    )
}

/// What the servers were asked for since the last time, as `server target`; probes do not count.
fn asked(world: &World) -> Vec<String> {
    let calls = world.sims.iter().flat_map(|sim| {
        let calls = sim.calls().into_iter();
        let calls =
            calls.filter(|call| call.target.contains("html5client") || is_index(&call.target));
        calls.map(|call| format!("{} {}", sim.name(), call.target)).collect::<Vec<_>>()
    });
    let asked = calls.collect();
    world.sims.iter().for_each(sim::Sim::clear_calls);
    asked
}

fn is_index(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    path.trim_end_matches('/') == "/bigbluebutton/api"
}

#[tokio::test]
async fn the_client_comes_from_the_server_that_the_path_names() {
    let world = world(ClusterProxy::On).await;
    let page =
        ask(world.gateway.address, &request("GET", "/bbb2/html5client/?sessionToken=t%2B")).await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("Simulated client"), "{}", page.text());
    assert_eq!(page.header("set-cookie"), "client=here; Path=/; HttpOnly");
    let calls = world.sims[1].calls();
    let call = calls.iter().find(|call| call.target.contains("html5client")).unwrap();
    let line = |name: &str| {
        let mut lines = call.headers.iter().filter(|(known, _)| known == name);
        lines.next().map_or("", |(_, value)| value)
    };
    assert_eq!(line("cookie"), "a=b");
    assert_eq!(line("x-forwarded-for"), "127.0.0.1");
    assert!(world.sims[1].url().contains(line("host")));
    assert_eq!(asked(&world), ["bbb2 /bbb2/html5client/?sessionToken=t%2B"]);
}

#[tokio::test]
async fn of_the_api_only_the_version_is_reached() {
    let world = world(ClusterProxy::On).await;
    let index = ask(world.gateway.address, &request("GET", "/bbb1/bigbluebutton/api")).await;
    assert_eq!((index.status, index.text().contains("SUCCESS")), (200, true), "{}", index.text());
    assert_eq!(asked(&world), ["bbb1 /bigbluebutton/api"]);
    let post = ask(world.gateway.address, &request("POST", "/bbb1/bigbluebutton/api")).await;
    assert_eq!(post.status, 405);
    for target in [
        "/bbb1/bigbluebutton/api/getMeetings",
        "/bbb1/bigbluebutton/api/../api",
        "/bbb1/html5client/../bigbluebutton/api",
        "/bbb1/html5client/%2e%2e/x",
        "/bbb1/html5client/..%5cx",
        "/bbb1//html5client/",
        "//bbb1/html5client/",
        "/bbb3/html5client/",
        "/BBB1/html5client/",
        "/html5client/",
    ] {
        let answer = ask(world.gateway.address, &request("GET", target)).await;
        assert!(answer.text().contains("unsupportedRequest"), "{target}: {}", answer.text());
    }
    let absolute = request("GET", "http://public.test/bbb1/html5client/");
    let answer = ask(world.gateway.address, &absolute).await;
    assert!(answer.text().contains("unsupportedRequest"), "{answer:?}");
    // Another host in the URI than in the header: two programs could read it in two ways.
    let answer = ask(world.gateway.address, &request("GET", "http://bbb1/bbb1/html5client/")).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(asked(&world), Vec::<String>::new());
}

#[tokio::test]
async fn off_by_default() {
    let world = world(ClusterProxy::default()).await;
    let answer = ask(world.gateway.address, &request("GET", "/bbb1/html5client/")).await;
    assert!(answer.text().contains("unsupportedRequest"), "{}", answer.text());
    assert_eq!(asked(&world), Vec::<String>::new());
}

#[tokio::test]
async fn websockets_carry_every_byte_both_ways() {
    let world = world(ClusterProxy::On).await;
    let mut stream = TcpStream::connect(world.gateway.address).await.unwrap();
    let handshake = "GET /bbb1/html5client/sockjs/1/a/websocket HTTP/1.1\r\nHost: public.test\r\n\
                     Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(handshake.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = tokio::time::timeout(DEADLINE, stream.read_u8()).await.unwrap();
        head.push(byte.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&head))));
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    // A close frame with a code, and more than any buffer holds.
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    for bytes in [b"\x81\x85\0\0\0\0hello".to_vec(), large, b"\x88\x82\0\0\0\0\x03\xe9".to_vec()] {
        let (mut from, mut to) = stream.split();
        let mut back = vec![0; bytes.len()];
        let talk = async { tokio::join!(to.write_all(&bytes), from.read_exact(&mut back)) };
        let (sent, received) = tokio::time::timeout(DEADLINE, talk).await.unwrap();
        assert!(sent.is_ok() && received.is_ok());
        assert!(back == bytes, "{} bytes came back changed", bytes.len());
    }
}

#[tokio::test]
async fn a_websocket_outlives_the_longest_silence_of_a_call() {
    let sims = sims(1).await;
    let mut settings = settings(&sims);
    settings.cluster_proxy = ClusterProxy::On;
    settings.timeouts.call = std::time::Duration::from_millis(100);
    let gateway = crate::harness::Gateway::start(settings).await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let handshake = "GET /bbb1/html5client/x HTTP/1.1\r\nHost: public.test\r\nConnection: Upgrade\r\n\
                     Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(handshake.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tokio::time::timeout(DEADLINE, stream.read_u8()).await.unwrap().unwrap());
    }
    // Silent for several times as long as a call may be: were it to end, this read would, too.
    let silence = tokio::time::timeout(std::time::Duration::from_millis(600), stream.read_u8());
    assert!(silence.await.is_err(), "the connection ended");
    stream.write_all(b"still here").await.unwrap();
    let mut back = [0; 10];
    tokio::time::timeout(DEADLINE, stream.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(&back, b"still here");
}

#[tokio::test]
async fn a_server_that_is_gone_is_said_to_be() {
    let world = world(ClusterProxy::On).await;
    world.sims[0].stop().await;
    let request = request("GET", "/bbb1/html5client/");
    assert_eq!(ask(world.gateway.address, &request).await.status, 502);
}
