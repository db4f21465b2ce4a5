//! A cluster to test on: simulated servers, and the real gateway in front of them, all on real sockets of
//! this machine. Tests wait for conditions with a deadline; nothing here sleeps for a guess.

use std::net::SocketAddr;
use std::sync::Arc;
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
use tinyscale::config::settings::Settings;
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
    _running: Running,
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
        "listen: [{{ address: \"127.0.0.1:0\" }}]\nsecrets: [{{ env: FRONT }}]\nthreads: 1\n\
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
        Self { address: running.addresses()[0], state, _running: running }
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

/// `query` with the checksum of `call` under the front end's secret.
pub(crate) fn signed(call: &str, query: &str) -> String {
    checksum::sign(call, query, Algorithm::Sha256, &Secret::new(SECRET).unwrap())
}

/// A client that follows nothing and keeps no connection, as most front ends.
pub(crate) fn http() -> reqwest::Client {
    install_crypto();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .timeout(DEADLINE)
        .no_proxy()
        .build()
        .unwrap()
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let talking = async {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // A reset after the answer is an end like any other here.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::time::timeout(DEADLINE, talking).await.unwrap()
}

fn install_crypto() {
    // `TINYSCALE_LOG=debug cargo test …` shows what the gateway says.
    let level = std::env::var("TINYSCALE_LOG").ok().and_then(|level| level.parse().ok());
    let level = level.unwrap_or(log::LevelFilter::Off);
    let _ = env_logger::Builder::new().filter_level(level).is_test(true).try_init();
    // A second time is an error that means it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
