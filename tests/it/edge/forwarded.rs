//! What servers are told about clients, through real sockets.

use tinyscale::config::settings::{ProxyHeader, TrustedProxies};

use crate::harness::{Gateway, fetch, http, settings, sims};

/// What the server of the last call was told.
struct Told(Vec<(String, String)>);

impl Told {
    /// All values of a header.
    fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.0.iter().filter(|(known, _)| known == name);
        lines.map(|(_, value)| value.as_str()).collect()
    }
}

/// Sends a call with these header lines to a gateway that trusts `trusted`.
async fn told(trusted: TrustedProxies, lines: &[(&str, &str)]) -> Told {
    let sims = sims(1).await;
    let mut settings = settings(&sims);
    settings.trusted_proxies = trusted;
    let gateway = Gateway::start(settings).await;
    let mut request = http().get(gateway.url("create", "meetingID=room&name=nn"));
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    fetch(request).await.assert_success();
    let calls = sims[0].calls();
    let call = calls.iter().find(|call| call.name == "create").unwrap();
    Told(call.headers.clone())
}

const CLAIMS: [(&str, &str); 6] = [
    ("X-Forwarded-For", "203.0.113.9, 198.51.100.7"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "bbb.example.org"),
    ("X-Real-IP", "203.0.113.8"),
    ("Forwarded", "for=203.0.113.7;proto=https"),
    ("X-Forwarded-Port", "443"),
];

#[tokio::test]
async fn what_a_client_claims_is_dropped() {
    let told = told(TrustedProxies::default(), &CLAIMS).await;
    assert_eq!(told.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(told.all("x-forwarded-proto"), ["http"]);
    assert_eq!(told.all("x-real-ip"), ["127.0.0.1"]);
    assert!(told.all("x-forwarded-port").is_empty());
    let [host] = told.all("x-forwarded-host")[..] else { panic!("{:?}", told.0) };
    assert!(host.starts_with("127.0.0.1:"), "{host}");
    assert_eq!(told.all("forwarded"), [format!("for=127.0.0.1;proto=http;host=\"{host}\"")]);
}

#[tokio::test]
async fn what_a_trusted_proxy_claims_is_passed_on() {
    let trusted = TrustedProxies {
        networks: vec!["127.0.0.0/8".parse().unwrap()],
        header: ProxyHeader::XForwardedFor,
    };
    let told = told(trusted, &CLAIMS).await;
    assert_eq!(told.all("x-forwarded-for"), ["198.51.100.7"]);
    assert_eq!(told.all("x-forwarded-proto"), ["https"]);
    assert_eq!(told.all("x-forwarded-host"), ["bbb.example.org"]);
    let expected = "for=198.51.100.7;proto=https;host=\"bbb.example.org\"";
    assert_eq!(told.all("forwarded"), [expected]);
}
