//! Servers behind https, as real ones are: whose certificates are accepted, and what the operator is told
//! about the others. A terminator in this process stands in front of simulated servers.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sim::{Fault, Sim};
use tinyscale::app::App;
use tinyscale::cluster::health::Health;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use crate::harness::{Gateway, configured, sims, wait_for};
use crate::names::{Names, Says};
use crate::process::Operator;

const NAME: &str = "bbb1.test";

/// Somebody who signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), pem).unwrap();
        Self { issuer: Issuer::new(params, key), folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn sign(&self, params: &CertificateParams) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ServerConfig::builder_with_provider(provider);
        let builder = versions.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        Arc::new(builder.with_single_cert(vec![certificate.der().clone()], key).unwrap())
    }

    /// A good certificate.
    fn of(&self, name: &str) -> Arc<ServerConfig> {
        self.sign(&CertificateParams::new([name.to_owned()]).unwrap())
    }

    fn expired(&self, name: &str) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(2020, 1, 1);
        self.sign(&params)
    }

    /// `tls` of a server in YAML.
    fn trusted(&self) -> String {
        format!("{{ ca: \"{}\" }}", self.file().display())
    }
}

/// One TLS connection that came, as far as it got.
#[derive(Debug, Clone, Default)]
struct Seen {
    sni: Option<String>,
    /// The certificate that was shown: how many were set before it.
    shown: usize,
    /// Which of the servers it asked for, from the first segment of each path.
    paths: Vec<usize>,
}

/// Speaks TLS, and passes on to the server that the first path on a connection names: `/0/..` or `/1/..`.
struct Terminator {
    address: SocketAddr,
    certificates: Arc<Mutex<Vec<Arc<ServerConfig>>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    accepting: AbortHandle,
}

impl Terminator {
    async fn start(certificate: Arc<ServerConfig>, sims: &[Sim]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let certificates = Arc::new(Mutex::new(vec![certificate]));
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let servers: Vec<SocketAddr> = sims.iter().map(Sim::address).collect();
        let (shown, log) = (certificates.clone(), seen.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (number, certificate) = {
                    let shown = shown.lock();
                    (shown.len() - 1, shown.last().unwrap().clone())
                };
                tokio::spawn(pass(stream, certificate, number, servers.clone(), log.clone()));
            }
        });
        Self { address, certificates, seen, accepting: accepting.abort_handle() }
    }

    /// New connections are shown this one. Those that are open stay open.
    fn show(&self, certificate: Arc<ServerConfig>) {
        self.certificates.lock().push(certificate);
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    /// Its entry in YAML as server `n`.
    fn server(&self, n: usize, sim: &Sim, tls: &str) -> String {
        let (port, secret) = (self.address.port(), sim.secret());
        format!(
            "  - {{ name: bbb{n}, url: \"https://{NAME}:{port}/{n}\", secret: \"{secret}\", tls: {tls} }}\n"
        )
    }
}

impl Drop for Terminator {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(
    stream: TcpStream,
    certificate: Arc<ServerConfig>,
    shown: usize,
    servers: Vec<SocketAddr>,
    log: Arc<Mutex<Vec<Seen>>>,
) {
    let Ok(stream) = TlsAcceptor::from(certificate).accept(stream).await else { return };
    let sni = stream.get_ref().1.server_name().map(str::to_owned);
    let at = {
        let mut log = log.lock();
        log.push(Seen { sni, shown, paths: Vec::new() });
        log.len() - 1
    };
    let (mut from, to) = tokio::io::split(stream);
    let (mut to, mut server) = (Some(to), None);
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let mut chunk = String::from_utf8_lossy(&buffer[..count]).into_owned();
        for (n, address) in servers.iter().enumerate() {
            let prefix = format!(" /{n}/bigbluebutton");
            if !chunk.contains(&prefix) {
                continue;
            }
            chunk = chunk.replace(&prefix, " /bigbluebutton");
            log.lock()[at].paths.push(n);
            if let Some(mut to) = to.take() {
                let (mut answers, requests) =
                    TcpStream::connect(address).await.unwrap().into_split();
                server = Some(requests);
                tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut answers, &mut to).await;
                    let _ = to.shutdown().await;
                });
            }
        }
        let Some(server) = &mut server else { return };
        if server.write_all(chunk.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The gateway in front of `servers` in YAML, which are all here, and what the roll call found.
async fn start(servers: &str) -> (Gateway, Vec<String>) {
    let names = Names::default();
    names.set(NAME, Says::Address(Ipv4Addr::LOCALHOST.into()));
    let lookup = names.lookup(Duration::from_secs(5));
    let app = App::with_lookup(configured(servers), lookup).unwrap();
    let calls = app.roll_call().await.unwrap();
    let state = |meetings: &Result<usize, _>| match meetings {
        Ok(_) => "ok".to_owned(),
        Err(why) => format!("{why}"),
    };
    let found = calls.0.iter().map(|row| state(&row.meetings)).collect();
    (Gateway::run(&app).await, found)
}

async fn one_server(
    certificate: Arc<ServerConfig>,
    tls: &str,
) -> (Sim, Terminator, Gateway, String) {
    let sim = sims(1).await.remove(0);
    let terminator = Terminator::start(certificate, std::slice::from_ref(&sim)).await;
    let (gateway, found) = start(&terminator.server(0, &sim, tls)).await;
    (sim, terminator, gateway, found.into_iter().next().unwrap())
}

#[tokio::test]
async fn everything_goes_over_tls_and_names_the_server() {
    let ours = Authority::new("ours");
    let (sim, terminator, gateway, found) = one_server(ours.of(NAME), &ours.trusted()).await;
    assert_eq!(found, "ok");
    gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    gateway.get("getMeetingInfo", "meetingID=room").await.assert_success();
    gateway.get("getMeetings", "").await.assert_success();
    let slides = "<modules><module name=\"presentation\"/></modules>";
    let posted =
        gateway.post("create", "meetingID=slides&name=nn", "application/xml", slides).await;
    posted.assert_success();
    // The answer gets lost: the server is asked whether it made the meeting.
    sim.set_fault_once(Fault::ResetAfter, Some("create"));
    gateway.get("create", "meetingID=other&name=nn").await.assert_success();
    assert_eq!(sim.call_count("getMeetingInfo"), 2);
    assert_eq!(sim.meeting_count(), 3);
    let seen = terminator.seen();
    assert!(seen.iter().all(|seen| seen.sni.as_deref() == Some(NAME)), "{seen:?}");
    let join = gateway.get("join", "meetingID=room&fullName=Ada&role=VIEWER").await;
    let port = terminator.address.port();
    let expected = format!("https://{NAME}:{port}/0/bigbluebutton/api/join?");
    assert!(join.header("location").starts_with(&expected), "{join:?}");
}

#[tokio::test]
async fn a_certificate_that_fails_makes_a_server_unreachable_and_says_why() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let cases = [
        (theirs.of(NAME), "TLS: the certificate comes from an authority that is not trusted here"),
        (ours.expired(NAME), "TLS: the certificate has expired"),
        (
            ours.of("bbb2.test"),
            "TLS: the certificate is for another name than bbb1.test; it is for",
        ),
    ];
    for (certificate, why) in cases {
        let (sim, _terminator, gateway, found) = one_server(certificate, &ours.trusted()).await;
        assert!(found.starts_with(why), "{found}");
        gateway.get("create", "meetingID=room&name=nn").await.assert_failed("internalError");
        assert_eq!(sim.calls().len(), 0);
    }
}

#[tokio::test]
async fn the_machines_authorities_are_not_those_of_a_server_with_its_own() {
    let ours = Authority::new("ours");
    for tls in ["{ verify: true }", "{}"] {
        let (sim, _terminator, _gateway, found) = one_server(ours.of(NAME), tls).await;
        assert!(found.contains("certificate comes from an authority"), "{found}");
        assert_eq!(sim.calls().len(), 0);
    }
}

#[tokio::test]
async fn forwarded_calls_check_the_certificate_themselves() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    for bad in [theirs.of(NAME), ours.expired(NAME), ours.of("bbb2.test")] {
        let (sim, terminator, gateway, _) = one_server(ours.of(NAME), &ours.trusted()).await;
        gateway.get("create", "meetingID=good&name=nn").await.assert_success();
        // Probes stay on the connection that they have; each create makes a new one.
        terminator.show(bad);
        let refused = gateway.get("create", "meetingID=room&name=nn").await;
        assert_eq!(refused.text("returncode"), "FAILED", "{refused:?}");
        assert_eq!(sim.meeting_count(), 1);
    }
}

#[tokio::test]
async fn unverified_servers_work_whatever_they_show() {
    let theirs = Authority::new("theirs");
    for certificate in [theirs.of(NAME), theirs.expired(NAME), theirs.of("bbb2.test")] {
        let tls = "{ verify: false }";
        let (sim, terminator, gateway, found) = one_server(certificate, tls).await;
        assert_eq!(found, "ok");
        gateway.get("create", "meetingID=room&name=nn").await.assert_success();
        gateway.get("getMeetingInfo", "meetingID=room").await.assert_success();
        assert_eq!(sim.meeting_count(), 1);
        let seen = terminator.seen();
        assert!(seen.iter().all(|seen| seen.sni.as_deref() == Some(NAME)), "{seen:?}");
    }
}

#[tokio::test]
async fn servers_with_different_authorities_never_share_a_connection() {
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let sims = sims(2).await;
    // Both have one name and one address. What it shows first is good for server 0 only.
    let terminator = Terminator::start(first.of(NAME), &sims).await;
    let servers = [
        terminator.server(0, &sims[0], &first.trusted()),
        terminator.server(1, &sims[1], &second.trusted()),
    ];
    let (gateway, found) = start(&servers.concat()).await;
    assert_eq!(found[0], "ok");
    assert!(found[1].contains("authority that is not trusted"), "{found:?}");
    gateway.get("create", "meetingID=m0&name=nn").await.assert_success();
    // Leaves connections to server 0 in both pools.
    gateway.get("getMeetingInfo", "meetingID=m0").await.assert_success();
    gateway.get("getMeetings", "").await.assert_success();
    terminator.show(second.of(NAME));
    gateway.wait_health("bbb1", Health::Up).await;
    for n in 1..5 {
        gateway.get("create", &format!("meetingID=m{n}&name=nn")).await;
    }
    wait_for("a meeting on server 1", || sims[1].meeting_count() > 0).await;
    for n in 0..5 {
        gateway.get("getMeetingInfo", &format!("meetingID=m{n}")).await;
        gateway.get("getMeetings", "").await;
    }
    let seen = terminator.seen();
    for connection in &seen {
        let own = connection.paths.iter().all(|path| *path == connection.shown);
        assert!(own, "{connection:?}");
    }
    assert!(sims[1].call_count("getMeetingInfo") > 0);
}

/// A real process in front of one https server that is called `localhost`.
async fn operator(authority: &Authority) -> (Sim, Terminator, Operator) {
    let sim = sims(1).await.remove(0);
    let terminator = Terminator::start(authority.of("localhost"), std::slice::from_ref(&sim)).await;
    let (port, secret) = (terminator.address.port(), sim.secret());
    let list = format!(r#"[{{"host": "https://localhost:{port}/0", "secret": "{secret}"}}]"#);
    (sim, terminator, Operator::of(&[]).file("servers.json", list))
}

#[tokio::test]
async fn the_systems_authorities_are_trusted() {
    let ours = Authority::new("ours");
    let (sim, _terminator, operator) = operator(&ours).await;
    let process = operator.clone().with("SSL_CERT_FILE", ours.file()).start();
    process.get("create", "meetingID=CANARY&name=CANARY").await.assert_success();
    process.get("getMeetingInfo", "meetingID=CANARY").await.assert_success();
    assert_eq!(sim.meeting_count(), 1);
    let process = operator.start();
    process.address().await;
    let out = process.out();
    assert!(out.contains("unreachable: TLS: the certificate comes from an authority"), "{out}");
}

#[tokio::test]
async fn a_machine_without_authorities_matters_only_to_https() {
    let ours = Authority::new("ours");
    let (_sim, _terminator, https) = operator(&ours).await;
    let plain = sims(1).await;
    for none in ["/no/such/file", "/dev/null"] {
        let expected = ["localhost-", "is called over https", "ca-certificates"];
        for args in [&[][..], &["-t"]] {
            let mut operator = https.clone().with("SSL_CERT_FILE", none);
            operator = if args.is_empty() { operator } else { operator.args(["-t"]) };
            operator.refused(expected).await;
        }
        let process = Operator::of(&plain).with("SSL_CERT_FILE", none).start();
        process.get("getMeetings", "").await;
        process.address().await;
    }
}

#[tokio::test]
async fn an_authority_of_its_own_needs_none_of_the_systems() {
    let ours = Authority::new("ours");
    let sim = sims(1).await.remove(0);
    let terminator = Terminator::start(ours.of("localhost"), std::slice::from_ref(&sim)).await;
    let server = terminator.server(0, &sim, "{ ca: ca.pem }").replace(NAME, "localhost");
    let yaml = format!(
        "secrets: [{{ env: TINYSCALE_SECRET }}]\nlisten: [{{ address: \"127.0.0.1:0\" }}]\nservers:\n{server}"
    );
    let operator = Operator::new().file("a.yaml", yaml).args(["-c", "a.yaml"]);
    let operator = operator.with("SSL_CERT_FILE", "/no/such/file");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    operator.clone().file("ca.pem", broken).args(["-t", "-c", "a.yaml"]).refused(["ca.pem"]).await;
    let operator = operator.file("ca.pem", std::fs::read(ours.file()).unwrap());
    let process = operator.args(["-c", "a.yaml"]).start();
    process.get("create", "meetingID=CANARY&name=CANARY").await.assert_success();
}
