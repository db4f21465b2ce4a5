//! From http to https, and what browsers are told with every answer.

use std::net::SocketAddr;

use tinyscale::config::settings::edge::{Redirect, SecurityHeaders};
use tinyscale::config::settings::{Listen, ProxyHeader, TrustedProxies};

use crate::edge::authority::{Authority, encrypted};
use crate::edge::tls::curl;
use crate::harness::{Gateway, RawAnswer, ask, ip, settings, signed, sims};

fn plain(redirect: Redirect) -> Listen {
    Listen { redirect, ..Listen::plain(([127, 0, 0, 1], 0).into()) }
}

fn request(method: &str, target: &str, more: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: bbb.test:8080\r\nConnection: close\r\n{more}\r\n")
}

/// Where an answer leads, with its status.
fn leads(answer: &RawAnswer) -> (u16, &str) {
    (answer.status, answer.header("location"))
}

const API: &str = "/bigbluebutton/api";

#[tokio::test]
async fn to_https() {
    let authority = Authority::new();
    let tls = encrypted(vec![authority.good("a", &["bbb.test"])]);
    let sims = sims(1).await;
    let mut settings = settings(&sims);
    let all = [Redirect::All, Redirect::Browsers, Redirect::Off].map(plain);
    settings.listen = [&[tls][..], &all].concat();
    settings.public_url = Some("https://bbb.test".to_owned());
    settings.trusted_proxies = TrustedProxies {
        networks: vec!["127.0.0.1/32".parse().unwrap()],
        header: ProxyHeader::XForwardedFor,
    };
    let gateway = Gateway::start(settings).await;
    let addresses: Vec<SocketAddr> = gateway.running.addresses().iter().map(ip).collect();
    let [_, all, browsers, off] = addresses[..] else { panic!("{addresses:?}") };
    let create = format!("{API}/create?{}", signed("create", "meetingID=room&name=n%20n"));
    let join = format!("{API}/join?{}", signed("join", "meetingID=room&fullName=A"));

    let answer = ask(all, &request("GET", &create, "")).await;
    assert_eq!(leads(&answer), (301, format!("https://bbb.test{create}").as_str()));
    assert_eq!(answer.header("cache-control"), "no-store");
    let post = request("POST", &create, "Content-Length: 2\r\n") + "ab";
    let answer = ask(all, &post).await;
    assert_eq!(leads(&answer), (308, format!("https://bbb.test{create}").as_str()));
    assert_eq!(
        leads(&ask(all, &request("GET", "//evil.test", "")).await),
        (301, "https://bbb.test//evil.test")
    );
    assert!(sims[0].calls().iter().all(|call| call.name != "create"), "nothing was done");

    // A trusted proxy says that the client used https.
    let secure = request("GET", &create, "X-Forwarded-Proto: https\r\n");
    assert_eq!(ask(all, &secure).await.status, 200);

    assert_eq!(ask(browsers, &request("GET", &create, "")).await.status, 200);
    assert_eq!(leads(&ask(browsers, &request("GET", &join, "")).await).0, 301);
    assert_eq!(leads(&ask(browsers, &request("GET", "/", "")).await), (301, "https://bbb.test/"));

    let answer = ask(off, &request("GET", &join, "")).await;
    assert_eq!(
        (answer.status, answer.header("location").starts_with("http://127.0.0.1")),
        (302, true)
    );
}

#[tokio::test]
async fn browsers_are_told_to_be_careful() {
    let authority = Authority::new();
    let files = authority.good("a", &["bbb.test"]);
    for headers in [
        SecurityHeaders::default(),
        SecurityHeaders { hsts: std::time::Duration::ZERO, ..SecurityHeaders::default() },
        SecurityHeaders { enabled: false, ..SecurityHeaders::default() },
    ] {
        let sims = sims(1).await;
        let mut settings = settings(&sims);
        settings.listen = vec![encrypted(vec![files.clone()]), plain(Redirect::Off)];
        settings.security_headers = headers;
        let gateway = Gateway::start(settings).await;
        let shown = |enabled: bool| usize::from(enabled);
        let has_hsts = headers.enabled && !headers.hsts.is_zero();
        // Answered here; by a server; refused; and over HTTP/2.
        let create = format!("{API}/create?{}", signed("create", "meetingID=room&name=nn"));
        let cases: [(&str, &[&str]); 4] = [
            (API, &["--http1.1"]),
            (&create, &["--http1.1"]),
            (API, &["--http1.1", "-H", "Transfer-Encoding: gzip, chunked", "--data", ""]),
            (API, &["--http2"]),
        ];
        for (path, options) in cases {
            let options = [options, &["--include"]].concat();
            let (_, text) = curl(&authority, gateway.address, "bbb.test", path, &options).await;
            let text = text.to_ascii_lowercase();
            let count = |line: &str| text.matches(line).count();
            assert_eq!(count("x-content-type-options: nosniff"), shown(headers.enabled), "{text}");
            assert_eq!(count("referrer-policy: "), shown(headers.enabled), "{text}");
            assert_eq!(
                count("strict-transport-security: max-age=2592000"),
                shown(has_hsts),
                "{text}"
            );
            assert_eq!(count("strict-transport-security"), shown(has_hsts), "{text}");
        }
        let answer = ask(ip(&gateway.running.addresses()[1]), &request("GET", API, "")).await;
        assert_eq!(answer.header("strict-transport-security"), "", "nobody says it without TLS");
        assert_eq!(answer.header("x-content-type-options") == "nosniff", headers.enabled);
        let join = format!("{API}/join?{}", signed("join", "meetingID=room&fullName=A"));
        let answer = ask(ip(&gateway.running.addresses()[1]), &request("GET", &join, "")).await;
        assert_eq!(
            answer.header("referrer-policy"),
            "no-referrer",
            "what an answer says itself stays"
        );
    }
}
