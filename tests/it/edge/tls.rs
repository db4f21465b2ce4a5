//! TLS listeners, with clients that are not ours: curl, rustls, openssl.

use std::net::SocketAddr;
use std::path::Path;

use rustls::version::{TLS12, TLS13};
use tinyscale::app::App;
use tinyscale::config::settings::edge::CertificateFiles;
use tinyscale::config::settings::{Address, Listen, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::edge::authority::{Authority, encrypted, shake_hands};
use crate::harness::{Gateway, ip, settings, signed, sims, wait_for};

/// A gateway that listens so; its server is gone with the end of the test.
pub(crate) async fn gateway(listen: Vec<Listen>) -> (Vec<sim::Sim>, Gateway) {
    let sims = sims(1).await;
    let mut settings = settings(&sims);
    settings.listen = listen;
    let gateway = Gateway::start(settings).await;
    (sims, gateway)
}

/// What curl says: its exit code, and the answer with the HTTP version in front.
pub(crate) async fn curl(
    authority: &Authority,
    address: SocketAddr,
    host: &str,
    path: &str,
    options: &[&str],
) -> (i32, String) {
    let (port, ip) = (address.port(), address.ip());
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20"])
        .args(["--write-out", " v%{http_version}", "--cacert"])
        .arg(authority.file())
        .args(["--resolve", &format!("{host}:{port}:{ip}")])
        .args(options)
        .arg(format!("https://{host}:{port}{path}"))
        .output()
        .await
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}

const API: &str = "/bigbluebutton/api";

#[tokio::test]
async fn curl_is_served_with_both_versions_of_http() {
    let authority = Authority::new();
    let (sims, gateway) = gateway(vec![encrypted(vec![authority.good("a", &["bbb.test"])])]).await;
    let create = format!("{API}/create?{}", signed("create", "meetingID=room&name=nn"));
    for (options, version) in [(["--http2"], "v2"), (["--http1.1"], "v1.1")] {
        let (code, text) = curl(&authority, gateway.address, "bbb.test", &create, &options).await;
        assert_eq!(code, 0, "{text}");
        assert!(
            text.contains("<returncode>SUCCESS</returncode>") && text.ends_with(version),
            "{text}"
        );
    }
    let calls = sims[0].calls();
    let told = &calls.iter().find(|call| call.name == "create").unwrap().headers;
    let proto = told.iter().find(|(name, _)| name == "x-forwarded-proto").unwrap();
    assert_eq!(proto.1, "https");
    let host = told.iter().find(|(name, _)| name == "x-forwarded-host").unwrap();
    assert_eq!(host.1, format!("bbb.test:{}", gateway.address.port()));
}

#[tokio::test]
async fn http2_can_be_switched_off() {
    let authority = Authority::new();
    let files = authority.good("a", &["bbb.test"]);
    let listen = Listen { http2: false, ..encrypted(vec![files]) };
    let (_sims, gateway) = gateway(vec![listen]).await;
    let (code, text) = curl(&authority, gateway.address, "bbb.test", API, &["--http2"]).await;
    assert!(code == 0 && text.ends_with("v1.1"), "{text}");
}

#[tokio::test]
async fn http2_without_tls_only_where_it_is_switched_on() {
    let plain = Listen::plain(([127, 0, 0, 1], 0).into());
    let both = Listen { http2: true, ..plain.clone() };
    let (_sims, gateway) = gateway(vec![plain, both]).await;
    let [only_1, with_2] = [0, 1].map(|n| ip(&gateway.running.addresses()[n]));
    let ask = async |address: SocketAddr, option: &str| {
        let url = format!("http://{address}{API}");
        let curl =
            ["--silent", "--max-time", "20", "--noproxy", "*", "--write-out", " v%{http_version}"];
        let output = Command::new("curl").args(curl).args([option, &url]).output().await.unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(ask(with_2, "--http2-prior-knowledge").await.ends_with("</response> v2"));
    assert!(ask(with_2, "--http1.1").await.ends_with("</response> v1.1"));
    assert!(ask(with_2, "--http1.0").await.ends_with("</response> v1.1"));
    assert!(ask(only_1, "--http1.1").await.ends_with("</response> v1.1"));
    assert!(!ask(only_1, "--http2-prior-knowledge").await.contains("SUCCESS"));
}

#[tokio::test]
async fn versions_1_2_and_1_3_and_no_older_one() {
    let authority = Authority::new();
    let (_sims, gateway) = gateway(vec![encrypted(vec![authority.good("a", &["bbb.test"])])]).await;
    for version in [&TLS12, &TLS13] {
        let client = authority.client(&[version]);
        let stream = shake_hands(gateway.address, "bbb.test", client).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
    }
    for (version, works) in
        [("-tls1", false), ("-tls1_1", false), ("-tls1_2", true), ("-tls1_3", true)]
    {
        let output = Command::new("openssl")
            .args(["s_client", "-connect", &gateway.address.to_string(), version])
            .args(["-cipher", "DEFAULT:@SECLEVEL=0", "-servername", "bbb.test", "-CAfile"])
            .arg(authority.file())
            .stdin(std::process::Stdio::null())
            .output()
            .await
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            text.contains("Verification: OK") && output.status.success(),
            works,
            "{version}: {text}"
        );
    }
}

#[tokio::test]
async fn each_name_gets_its_certificate() {
    let authority = Authority::new();
    let files = [
        authority.good("a", &["first.test"]),
        authority.good("b", &["*.schools.test"]),
        authority.good("c", &["special.schools.test", "other.test"]),
    ];
    let (_sims, gateway) = gateway(vec![encrypted(files.to_vec())]).await;
    for (name, right) in [
        ("first.test", true),
        ("goethe.schools.test", true),
        ("special.schools.test", true),
        ("other.test", true),
        ("FIRST.test", true),
        ("schools.test", false),
        ("a.goethe.schools.test", false),
        ("unknown.test", false),
    ] {
        assert_eq!(is_served(&gateway, &authority, name).await, right, "{name}");
    }
}

async fn is_served(gateway: &Gateway, authority: &Authority, name: &str) -> bool {
    shake_hands(gateway.address, name, authority.client(&[&TLS13])).await.is_ok()
}

#[tokio::test]
async fn a_new_certificate_is_used_and_open_connections_stay() {
    let authority = Authority::new();
    let files = authority.good("a", &["old.test"]);
    let sims = sims(1).await;
    let mut settings = settings(&sims);
    settings.listen = vec![encrypted(vec![files.clone()])];
    let app = App::new(settings).unwrap();
    let gateway = Gateway::run(&app).await;
    let client = authority.client(&[&TLS13]);
    let mut open = shake_hands(gateway.address, "old.test", client).await.unwrap();

    // Only half of it is there: whoever comes now gets the old one.
    let new = authority.good("b", &["new.test"]);
    std::fs::copy(&new.cert, &files.cert).unwrap();
    app.look_at_certificates();
    assert!(is_served(&gateway, &authority, "old.test").await);
    assert!(!is_served(&gateway, &authority, "new.test").await);

    std::fs::copy(&new.key, &files.key).unwrap();
    app.look_at_certificates();
    assert!(is_served(&gateway, &authority, "new.test").await);
    assert!(!is_served(&gateway, &authority, "old.test").await);

    let request = format!("GET {API} HTTP/1.1\r\nHost: old.test\r\nConnection: close\r\n\r\n");
    open.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = open.read_to_string(&mut answer).await;
    assert!(answer.contains("SUCCESS"), "{answer}");

    // An expired one never takes the place of a good one.
    let mut params = Authority::params(&["expired.test"]);
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    params.not_before = rcgen::date_time_ymd(2019, 1, 1);
    authority.write("a", &params);
    app.look_at_certificates();
    assert!(is_served(&gateway, &authority, "new.test").await);
}

#[tokio::test]
async fn new_files_are_noticed_without_being_told() {
    let authority = Authority::new();
    let files = authority.good("a", &["old.test"]);
    let (_sims, gateway) = gateway(vec![encrypted(vec![files])]).await;
    assert!(is_served(&gateway, &authority, "old.test").await);
    authority.good("a", &["new.test"]);
    let deadline = crate::harness::DEADLINE;
    let noticed = async {
        while !is_served(&gateway, &authority, "new.test").await {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(deadline, noticed).await.unwrap();
}

/// What is said about these files at a start.
fn refused(files: Vec<CertificateFiles>) -> String {
    let mut settings: Settings = crate::harness::configured(
        "  - { name: bbb1, url: \"http://127.0.0.1:9\", secret: \"s\" }\n",
    );
    settings.listen = vec![encrypted(files)];
    match App::new(settings) {
        Ok(_) => panic!("they can be used"),
        Err(why) => why.to_string(),
    }
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_with_its_files() {
    let authority = Authority::new();
    let (a, b) = (authority.good("a", &["a.test"]), authority.good("b", &["b.test"]));
    let folder = authority.folder.path();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).unwrap();
        folder.join(name)
    };
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let shown = |text: String| text.replace(folder.to_str().unwrap(), "DIR");
    let with = |cert: &Path, key: &Path| CertificateFiles {
        cert: cert.to_owned(),
        key: key.to_owned(),
        place: "tinyscale.yaml:3:9".to_owned(),
    };
    let a_pem = read(&a.cert);
    let (first, authority_pem) = a_pem.split_at(a_pem.rfind("-----BEGIN").unwrap());
    let upside_down = file("upside-down.pem", &format!("{authority_pem}{first}"));
    let foreign = file("foreign.pem", &format!("{first}{}", Authority::new().pem()));
    let nameless = authority.good("nameless", &[]);
    let all = refused(vec![
        with(&a.cert, &b.key),
        with(&folder.join("none.pem"), &a.key),
        with(&a.key, &a.key),
        with(&a.cert, &a.cert),
        with(
            &file("garbled.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            &a.key,
        ),
        with(folder, &a.key),
        with(&upside_down, &a.key),
        with(&foreign, &a.key),
        with(&nameless.cert, &nameless.key),
    ]);
    insta::assert_snapshot!(shown(all));
}

#[tokio::test]
async fn a_unix_socket_and_ipv6() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    // One that a process left behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let unix = Listen {
        address: Address::Unix(path.clone()),
        mode: 0o600,
        ..Listen::plain(([127, 0, 0, 1], 0).into())
    };
    let mut listen = vec![unix];
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    if has_ipv6 {
        listen.push(Listen::plain("[::1]:0".parse().unwrap()));
    }
    let (sims, gateway) = gateway(listen).await;
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let create = format!("{API}/create?{}", signed("create", "meetingID=room&name=nn"));
    let request = format!("GET {create} HTTP/1.1\r\nHost: bbb.test\r\nConnection: close\r\n\r\n");
    let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("SUCCESS"), "{answer}");
    let told = |n: usize| {
        let calls = sims[0].calls();
        let mut creates = calls.iter().filter(|call| call.name == "create");
        let headers = &creates.nth(n).unwrap().headers;
        headers.iter().find(|(name, _)| name == "x-forwarded-for").unwrap().1.clone()
    };
    assert_eq!(told(0), "127.0.0.1");
    if has_ipv6 {
        let answer =
            crate::harness::raw(ip(&gateway.running.addresses()[1]), request.as_bytes()).await;
        assert!(answer.contains("SUCCESS"), "{answer}");
        assert_eq!(told(1), "::1");
    }
}

/// An address that others use is said so, and is not taken from them.
#[test]
fn a_unix_socket_in_use_is_left_alone() {
    use tinyscale::app::listen::Bound;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    let plain = Listen::plain(([127, 0, 0, 1], 0).into());
    let unix = |path: &Path| Listen { address: Address::Unix(path.to_owned()), ..plain.clone() };
    let first = Bound::to(&[unix(&path)]).unwrap();
    let error = Bound::to(&[unix(&path)]).unwrap_err().to_string();
    assert!(error.ends_with("another program listens there"), "{error}");
    let file = folder.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    let error = Bound::to(&[unix(&file)]).unwrap_err().to_string();
    assert!(error.ends_with("it is no socket"), "{error}");
    let error = Bound::to(&[unix(&folder.path().join("no/such"))]).unwrap_err().to_string();
    assert!(error.ends_with("there is no such folder"), "{error}");
    assert!(std::os::unix::net::UnixStream::connect(&path).is_ok(), "{first:?}");
}

#[tokio::test]
async fn who_does_not_shake_hands_holds_nobody_up() {
    let authority = Authority::new();
    let (_sims, gateway) = gateway(vec![encrypted(vec![authority.good("a", &["bbb.test"])])]).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(tokio::net::TcpStream::connect(gateway.address).await.unwrap());
    }
    assert!(is_served(&gateway, &authority, "bbb.test").await);
    // They are let go.
    let mut closed = 0;
    for stream in &mut silent {
        let reading = stream.read_u8();
        closed += usize::from(
            tokio::time::timeout(crate::harness::DEADLINE, reading).await.unwrap().is_err(),
        );
    }
    assert_eq!(closed, 50);
    wait_for("nothing to be in flight", || gateway.state.in_flight().count() == 0).await;
}
