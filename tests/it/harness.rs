//! A cluster to test on: simulated servers, and the real gateway in front of them, all on real sockets of
//! this machine. Tests wait for conditions with a deadline; nothing here sleeps for a guess.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sim::{Sim, SimConfig};
use tinyscale::app::App;
use tinyscale::app::embedded::Running;
use tinyscale::app::listen::Bound;
use tinyscale::bbb::checksum::{self, Algorithm};
use tinyscale::bbb::id::{MeetingId, TenantId};
use tinyscale::bbb::secret::Secret;
use tinyscale::cluster::health::Health;
use tinyscale::cluster::server::Mode;
use tinyscale::config::settings::{Address, Settings};
use tinyscale::config::{Source, load};
use tinyscale::state::State;

/// The front end's secret in every test.
pub(crate) const SECRET: &str = "front-end-secret";
/// Longer than anything takes on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Simulated servers and a gateway in front of them.
pub(crate) struct World {
    pub(crate) sims: Vec<Sim>,
    pub(crate) gateway: Gateway,
}

/// The real gateway, in this process.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) state: Arc<State>,
    pub(crate) running: Running,
}

/// An answer as a client sees it.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// The text of the first element `name`, `""` if there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let Some((_, rest)) = self.body.split_once(&open) else { return "" };
        rest.split_once(&close).map_or("", |(text, _)| text)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn assert_success(&self) -> &Self {
        assert_eq!((self.status, self.text("returncode")), (200, "SUCCESS"), "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn assert_failed(&self, key: &str) -> &Self {
        let seen = (self.status, self.text("returncode"), self.text("messageKey"));
        assert_eq!(seen, (200, "FAILED", key), "{self:?}");
        self
    }

    /// Whether it is BBB's XML with HTTP status 200, whatever it says.
    pub(crate) fn is_bbb_xml(&self) -> bool {
        let body = self.body.trim();
        let code = self.text("returncode");
        self.status == 200
            && body.starts_with("<response>")
            && body.ends_with("</response>")
            && (code == "SUCCESS" || code == "FAILED")
            && self.header("content-type").starts_with("text/xml")
    }
}

/// `count` simulated servers with names and secrets of their own.
pub(crate) async fn sims(count: usize) -> Vec<Sim> {
    sim::start_many(count, |n| SimConfig {
        name: format!("bbb{}", n + 1),
        secret: format!("secret-{}", n + 1),
        end_delay: Duration::from_millis(50),
        ..SimConfig::default()
    })
    .await
    .unwrap()
}

/// Settings for a gateway in front of `sims`.
pub(crate) fn settings(sims: &[Sim]) -> Settings {
    let servers = sims.iter().map(|sim| {
        let (name, url, secret) = (sim.name(), sim.url(), sim.secret());
        format!("  - {{ name: {name}, url: \"{url}\", secret: \"{secret}\" }}\n")
    });
    configured(&servers.collect::<String>())
}

/// Settings with this list of `servers` in YAML, impatient so that tests are quick.
pub(crate) fn configured(servers: &str) -> Settings {
    let yaml = format!(
        "listen: [{{ address: \"127.0.0.1:0\" }}]\nsecrets: [{{ env: FRONT }}]\nthreads: 1\nfreshness: 0\n\
         probe: {{ interval: 100ms, timeout: 2s, backoff_max: 500ms }}\n\
         timeouts: {{ connect: 5s, create: 10s, call: 3s, fan_out: 2s }}\nservers:\n{servers}"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tinyscale.yaml");
    std::fs::write(&path, yaml).unwrap();
    let env = |name: &str| (name == "FRONT").then(|| SECRET.to_owned());
    load(&Source { yaml: Some(&path), directory: folder.path(), env: &env })
        .unwrap_or_else(|problems| panic!("{problems}"))
}

impl Gateway {
    /// Where operators are answered.
    pub(crate) fn admin(&self) -> SocketAddr {
        ip(self.running.admin().unwrap())
    }

    /// Asks every server once, as at any start, and serves.
    pub(crate) async fn start(settings: Settings) -> Self {
        Self::run(&App::new(settings).unwrap()).await
    }

    /// The same with an app that was put together elsewhere.
    pub(crate) async fn run(app: &App) -> Self {
        install_crypto();
        let bound = Bound::to(&app.settings().listen).unwrap();
        app.open_store().await;
        app.roll_call().await.unwrap();
        let state = app.state().clone();
        let running = app.start(bound).unwrap();
        Self { address: ip(&running.addresses()[0]), state, running }
    }

    /// Starts where servers can reach it: callbacks come through it and may go to this machine.
    pub(crate) async fn start_public(mut settings: Settings) -> Self {
        install_crypto();
        settings.callbacks.networks.loopback = true;
        let bound = loop {
            // The port of one that has just stopped may take a moment.
            match Bound::to(&settings.listen) {
                Ok(bound) => break bound,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let address = ip(bound.addresses().next().unwrap());
        settings.listen[0].address = address.into();
        settings.public_url = Some(format!("http://{address}"));
        let app = App::new(settings).unwrap();
        app.open_store().await;
        app.roll_call().await.unwrap();
        let state = app.state().clone();
        let running = app.start(bound).unwrap();
        Self { address, state, running }
    }

    /// The URL of a call with this raw query, signed as front ends do.
    pub(crate) fn url(&self, call: &str, query: &str) -> String {
        format!("{}/{call}?{}", self.api(), signed(call, query))
    }

    /// The base URL of the API.
    pub(crate) fn api(&self) -> String {
        format!("http://{}/bigbluebutton/api", self.address)
    }

    /// Calls by GET.
    pub(crate) async fn get(&self, call: &str, query: &str) -> Answer {
        fetch(http().get(self.url(call, query))).await
    }

    /// Calls by POST with a body.
    pub(crate) async fn post(
        &self,
        call: &str,
        query: &str,
        content_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let request = http().post(self.url(call, query)).header("Content-Type", content_type);
        fetch(request.body(body)).await
    }

    /// Waits until `server` (by name) is seen as `health`.
    pub(crate) async fn wait_health(&self, server: &str, health: Health) {
        wait_for(&format!("{server} to be {health}"), || {
            let cluster = self.state.cluster();
            let mut members = cluster.members();
            members.any(|(_, m)| m.spec.name.as_str() == server && m.pulse.health() == health)
        })
        .await;
    }

    /// Sets what operators set.
    pub(crate) fn set_mode(&self, server: &str, mode: Mode) {
        let mut cluster = self.state.cluster();
        let mut members = cluster.members();
        let (id, _) = members.find(|(_, m)| m.spec.name.as_str() == server).unwrap();
        drop(members);
        cluster.set_mode(id, mode);
    }

    /// The name of the server that a meeting is known on.
    pub(crate) fn home(&self, meeting: &str) -> Option<String> {
        let cluster = self.state.cluster();
        let found = cluster.find(TenantId::DEFAULT, &MeetingId::new(meeting)?)?;
        Some(cluster.member(found.server)?.spec.name.to_string())
    }
}

impl World {
    /// `count` servers, all up, and the gateway.
    pub(crate) async fn start(count: usize) -> Self {
        let sims = sims(count).await;
        let gateway = Gateway::start(settings(&sims)).await;
        for sim in &sims {
            sim.clear_calls();
        }
        Self { sims, gateway }
    }

    /// The only server that has the meeting.
    #[track_caller]
    pub(crate) fn server_of(&self, meeting: &str) -> &Sim {
        let on: Vec<&Sim> = self.sims.iter().filter(|sim| sim.meeting(meeting).is_some()).collect();
        assert_eq!(on.len(), 1, "{meeting} is on {} servers", on.len());
        on[0]
    }

    /// On how many servers the meeting lives.
    pub(crate) fn copies(&self, meeting: &str) -> usize {
        self.sims.iter().filter(|sim| sim.meeting(meeting).is_some()).count()
    }
}

/// The IP address of a listener; a Unix socket has none that is of use.
pub(crate) fn ip(address: &Address) -> SocketAddr {
    match address {
        Address::Ip(address) => *address,
        Address::Unix(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
    }
}

/// `query` with the checksum of `call` under the front end's secret.
pub(crate) fn signed(call: &str, query: &str) -> String {
    checksum::sign(call, query, Algorithm::Sha256, &Secret::new(SECRET).unwrap())
}

/// A client that follows nothing and keeps no connection, as most front ends. One for all tests: making one
/// takes longer than most calls, and without kept connections it belongs to no runtime.
pub(crate) fn http() -> reqwest::Client {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    let client = CLIENT.get_or_init(|| {
        install_crypto();
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .timeout(DEADLINE)
            .no_proxy()
            .build()
            .unwrap()
    });
    client.clone()
}

pub(crate) async fn fetch(request: reqwest::RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    Answer { status, headers, body: answer.text().await.unwrap() }
}

/// Waits until `condition` holds; fails the test after the deadline.
#[track_caller]
pub(crate) fn wait_for(
    what: &str,
    mut condition: impl FnMut() -> bool,
) -> impl Future<Output = ()> {
    let at = std::panic::Location::caller();
    let what = what.to_owned();
    async move {
        let polling = async {
            while !condition() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(DEADLINE, polling).await.is_err() {
            panic!("{at}: waited in vain for {what}");
        }
    }
}

/// Sends `request` byte for byte on a connection of its own and reads until the other side closes or the
/// deadline passes.
pub(crate) async fn raw(address: SocketAddr, request: &[u8]) -> String {
    String::from_utf8_lossy(&raw_bytes(address, request).await).into_owned()
}

/// As [`raw`], for answers that are no text.
pub(crate) async fn raw_bytes(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let talking = async {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        // Refused before all was sent is an answer like any other here.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        // A reset after the answer is an end like any other here.
        let _ = stream.read_to_end(&mut answer).await;
        answer
    };
    tokio::time::timeout(DEADLINE, talking).await.unwrap_or_else(|_| panic!("no answer in time"))
}

fn install_crypto() {
    // `TINYSCALE_LOG=debug cargo test …` shows what the gateway says.
    let level = std::env::var("TINYSCALE_LOG").ok().and_then(|level| level.parse().ok());
    let level = level.unwrap_or(log::LevelFilter::Off);
    let _ = env_logger::Builder::new().filter_level(level).is_test(true).try_init();
    // A second time is an error that means it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// An answer as it came over the wire, body put together but not decompressed.
#[derive(Debug, Clone)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    pub(crate) lines: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl RawAnswer {
    /// The first answer in `bytes`, and what follows it; `None` if there is no whole one.
    pub(crate) fn first_of(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines: Vec<String> = head.split("\r\n").map(str::to_owned).collect();
        let status = lines.remove(0).split(' ').nth(1)?.parse().ok()?;
        let mut answer = Self { status, lines, body: Vec::new() };
        let mut rest = &bytes[end + 4..];
        if answer.header("transfer-encoding") == "chunked" {
            loop {
                let at = rest.windows(2).position(|two| two == b"\r\n")?;
                let size =
                    usize::from_str_radix(std::str::from_utf8(&rest[..at]).ok()?, 16).ok()?;
                answer.body.extend_from_slice(rest.get(at + 2..at + 2 + size)?);
                rest = rest.get(at + 2 + size + 2..)?;
                if size == 0 {
                    return Some((answer, rest));
                }
            }
        }
        let length = answer.header("content-length").parse().unwrap_or(rest.len());
        answer.body = rest.get(..length)?.to_vec();
        rest = &rest[length..];
        Some((answer, rest))
    }

    /// The value of a header, `""` if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        let lines = self.lines.iter().filter_map(|line| line.split_once(": "));
        lines.clone().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// As [`raw`], with the first answer taken apart.
#[track_caller]
pub(crate) fn ask(address: SocketAddr, request: &str) -> impl Future<Output = RawAnswer> + use<> {
    let request = request.as_bytes().to_vec();
    async move {
        let bytes = raw_bytes(address, &request).await;
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        RawAnswer::first_of(&bytes).unwrap_or_else(|| panic!("no whole answer: {shown:?}")).0
    }
}
