//! The PROXY protocol, before plain HTTP and before TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;
use rustls::version::TLS13;
use tinyscale::config::settings::Listen;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::edge::authority::{Authority, encrypted};
use crate::edge::tls::gateway;
use crate::harness::{ip, raw, signed};

fn loopback() -> Vec<IpNet> {
    vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]
}

fn elsewhere() -> Vec<IpNet> {
    vec!["192.0.2.0/24".parse().unwrap()]
}

fn request(meeting: &str) -> String {
    let query = signed("create", &format!("meetingID={meeting}&name=nn"));
    format!(
        "GET /bigbluebutton/api/create?{query} HTTP/1.1\r\nHost: bbb.test\r\n\
         X-Forwarded-For: 203.0.113.1\r\nConnection: close\r\n\r\n"
    )
}

/// Who the server was told that the creator of this meeting is.
fn told(sims: &[sim::Sim], meeting: &str) -> String {
    let calls = sims[0].calls();
    let of = format!("meetingID={meeting}&");
    let mut creates = calls.iter().filter(|call| call.name == "create");
    let call = creates.find(|call| call.target.contains(&of)).unwrap();
    call.headers.iter().find(|(name, _)| name == "x-forwarded-for").unwrap().1.clone()
}

/// A header of version 2 with an IPv6 client and a TLV.
fn binary() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x2b".to_vec();
    let address = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
    header.extend(address("2001:db8::7"));
    header.extend(address("2001:db8::1"));
    header.extend([0x12, 0x67, 1, 187, 0x04, 0, 4, 0, 0, 0, 0]);
    header
}

#[tokio::test]
async fn the_client_is_the_one_that_the_header_names() {
    let listen =
        Listen { proxy_protocol: Some(loopback()), ..Listen::plain(([127, 0, 0, 1], 0).into()) };
    let (sims, gateway) = gateway(vec![listen]).await;
    let first = format!("PROXY TCP4 198.51.100.7 127.0.0.1 4711 80\r\n{}", request("one"));
    assert!(raw(gateway.address, first.as_bytes()).await.contains("SUCCESS"));
    assert_eq!(told(&sims, "one"), "198.51.100.7");
    let second = [binary(), request("two").into_bytes()].concat();
    assert!(raw(gateway.address, &second).await.contains("SUCCESS"));
    assert_eq!(told(&sims, "two"), "2001:db8::7");
    let health = format!("PROXY UNKNOWN\r\n{}", request("three"));
    assert!(raw(gateway.address, health.as_bytes()).await.contains("SUCCESS"));
    assert_eq!(told(&sims, "three"), "127.0.0.1");
    // Byte by byte is slow, and right.
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let whole = format!("PROXY TCP6 2001:db8::9 ::1 4711 80\r\n{}", request("four"));
    for byte in whole.as_bytes() {
        stream.write_u8(*byte).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("SUCCESS"), "{answer}");
    assert_eq!(told(&sims, "four"), "2001:db8::9");
}

#[tokio::test]
async fn without_its_header_a_trusted_connection_is_refused() {
    let plain = Listen::plain(([127, 0, 0, 1], 0).into());
    let must = Listen { proxy_protocol: Some(loopback()), ..plain.clone() };
    let (_sims, gateway) = gateway(vec![must]).await;
    assert_eq!(raw(gateway.address, request("one").as_bytes()).await, "");
    let twice = format!("PROXY UNKNOWN\r\nPROXY UNKNOWN\r\n{}", request("two"));
    assert!(!raw(gateway.address, twice.as_bytes()).await.contains("SUCCESS"));
}

#[tokio::test]
async fn nobody_else_may_send_one() {
    let plain = Listen::plain(([127, 0, 0, 1], 0).into());
    let others = Listen { proxy_protocol: Some(elsewhere()), ..plain.clone() };
    let (sims, gateway) = gateway(vec![others, plain]).await;
    for address in gateway.running.addresses().iter().map(ip) {
        let line = format!("PROXY TCP4 198.51.100.7 127.0.0.1 4711 80\r\n{}", request("one"));
        assert!(!raw(address, line.as_bytes()).await.contains("SUCCESS"));
        let binary = [binary(), request("two").into_bytes()].concat();
        assert!(!raw(address, &binary).await.contains("SUCCESS"));
        let meeting = format!("three-{}", address.port());
        assert!(raw(address, request(&meeting).as_bytes()).await.contains("SUCCESS"));
        assert_eq!(told(&sims, &meeting), "127.0.0.1");
    }
}

#[tokio::test]
async fn it_comes_before_tls() {
    let authority = Authority::new();
    let files = authority.good("a", &["bbb.test"]);
    let listen = Listen { proxy_protocol: Some(loopback()), ..encrypted(vec![files]) };
    let (sims, gateway) = gateway(vec![listen]).await;
    let ask = async |header: &[u8], meeting: &str| {
        let mut stream = TcpStream::connect(gateway.address).await?;
        stream.write_all(header).await?;
        let name = rustls::pki_types::ServerName::try_from("bbb.test").unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(authority.client(&[&TLS13])));
        let mut stream = connector.connect(name, stream).await?;
        stream.write_all(request(meeting).as_bytes()).await?;
        let mut answer = String::new();
        // Not every server says goodbye.
        let _ = stream.read_to_string(&mut answer).await;
        std::io::Result::Ok(answer)
    };
    assert!(ask(&binary(), "one").await.unwrap().contains("SUCCESS"));
    assert_eq!(told(&sims, "one"), "2001:db8::7");
    let line = b"PROXY TCP4 198.51.100.7 127.0.0.1 4711 443\r\n";
    assert!(ask(line, "two").await.unwrap().contains("SUCCESS"));
    assert_eq!(told(&sims, "two"), "198.51.100.7");
    assert!(ask(b"", "three").await.is_err());
}

/// One who sends half a header is let go, and holds nobody up.
#[tokio::test]
async fn a_header_has_its_time() {
    let listen =
        Listen { proxy_protocol: Some(loopback()), ..Listen::plain(([127, 0, 0, 1], 0).into()) };
    let (_sims, gateway) = gateway(vec![listen]).await;
    let address: SocketAddr = gateway.address;
    assert_eq!(raw(address, b"PROXY TCP4 198.51").await, "");
    let huge = [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff".as_slice(), &[0; 70_000]].concat();
    assert_eq!(raw(address, &huge).await, "");
}
