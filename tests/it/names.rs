//! Servers with names instead of addresses: looked up in the background, followed when they move, and never
//! waited for by a request.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use sim::{Sim, SimConfig};
use tinyscale::app::App;
use tinyscale::cluster::health::Health;
use tinyscale::services::resolve::{Lookup, Resolver};

use crate::harness::{Gateway, configured, sims, wait_for};

/// What a name server says about a name.
#[derive(Clone)]
pub(crate) enum Says {
    Address(IpAddr),
    NoSuchName,
    Nothing,
}

/// A name server that says what a test wants.
#[derive(Clone, Default)]
pub(crate) struct Names {
    says: Arc<Mutex<HashMap<String, Says>>>,
    asked: Arc<Mutex<HashMap<String, usize>>>,
    waiting: Arc<AtomicUsize>,
}

impl Names {
    pub(crate) fn set(&self, host: &str, says: Says) {
        self.says.lock().insert(host.to_owned(), says);
    }

    fn asked(&self, host: &str) -> usize {
        self.asked.lock().get(host).copied().unwrap_or_default()
    }

    /// Asked all the time, and given `deadline` for an answer.
    pub(crate) fn lookup(&self, deadline: Duration) -> Lookup {
        Lookup {
            resolver: Arc::new(self.clone()),
            interval: Duration::from_millis(20),
            interval_unknown: Duration::from_millis(20),
            deadline,
        }
    }
}

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        *self.asked.lock().entry(host.to_owned()).or_default() += 1;
        let says = self.says.lock().get(host).cloned();
        match says.unwrap_or(Says::NoSuchName) {
            Says::Address(address) => Ok(vec![address]),
            Says::NoSuchName => Err(io::ErrorKind::NotFound.into()),
            Says::Nothing => {
                self.waiting.fetch_add(1, Ordering::SeqCst);
                std::future::pending().await
            }
        }
    }
}

const HERE: Says = Says::Address(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1)));
const THERE: Says = Says::Address(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)));

/// Two machines, of which one takes over the other's name, port and secret.
async fn two_machines() -> [Sim; 2] {
    let start = async |ip: &str, port| {
        let listener = tokio::net::TcpListener::bind((ip, port)).await?;
        Sim::start_on(SimConfig::default(), listener).await
    };
    loop {
        let here = start("127.0.0.1", 0).await.unwrap();
        // The port may be taken at the other address; then another pair.
        if let Ok(there) = start("127.0.0.2", here.address().port()).await {
            return [here, there];
        }
    }
}

const SOON: Duration = Duration::from_millis(100);

async fn gateway(names: &Names, deadline: Duration, servers: &[(&str, &Sim)]) -> Gateway {
    let servers = servers.iter().map(|(host, sim)| {
        let (port, secret) = (sim.address().port(), sim.secret());
        format!("  - {{ name: {host}, url: \"http://{host}:{port}\", secret: \"{secret}\" }}\n")
    });
    let settings = configured(&servers.collect::<String>());
    Gateway::run(&App::with_lookup(settings, names.lookup(deadline)).unwrap()).await
}

#[tokio::test]
async fn a_server_that_moves_is_followed() {
    let [here, there] = two_machines().await;
    let names = Names::default();
    names.set("bbb1.test", HERE);
    let gateway = gateway(&names, SOON, &[("bbb1.test", &here)]).await;
    gateway.get("create", "meetingID=before&name=nn").await.assert_success();
    gateway.get("isMeetingRunning", "meetingID=before").await.assert_success();
    assert_eq!((here.meeting_count(), there.calls().len()), (1, 0));
    assert_eq!(
        here.calls_of("create")[0].header("host"),
        Some(&*format!("bbb1.test:{}", here.address().port()))
    );

    // The old machine still runs and still answers: only the name says that it is not the server any more.
    names.set("bbb1.test", THERE);
    wait_for("probes to move", || there.call_count("getMeetings") > 1).await;
    here.clear_calls();
    gateway.get("create", "meetingID=after&name=nn").await.assert_success();
    assert_eq!(there.meeting_count(), 1);
    gateway.get("getMeetingInfo", "meetingID=after").await.assert_success();
    let probes = there.call_count("getMeetings");
    wait_for("more probes", || there.call_count("getMeetings") > probes + 2).await;
    assert_eq!(here.calls().len(), 0, "{:?}", here.calls());
}

#[tokio::test]
async fn a_name_that_stops_resolving_keeps_its_last_address() {
    let sim = Sim::start(SimConfig::default()).await.unwrap();
    let names = Names::default();
    names.set("bbb1.test", HERE);
    let gateway = gateway(&names, SOON, &[("bbb1.test", &sim)]).await;
    for says in [Says::NoSuchName, Says::Nothing] {
        names.set("bbb1.test", says);
        let asked = names.asked("bbb1.test");
        wait_for("look-ups in vain", || names.asked("bbb1.test") > asked + 1).await;
        gateway.get("create", "meetingID=room&name=nn").await.assert_success();
        let probes = sim.call_count("getMeetings");
        wait_for("probes", || sim.call_count("getMeetings") > probes).await;
    }
}

#[tokio::test]
async fn no_request_waits_for_dns() {
    let sims = sims(2).await;
    let names = Names::default();
    names.set("bbb1.test", HERE);
    let servers = [("bbb1.test", &sims[0]), ("bbb2.test", &sims[1])];
    let gateway = gateway(&names, Duration::from_secs(3600), &servers).await;
    for name in ["bbb1.test", "bbb2.test"] {
        names.set(name, Says::Nothing);
    }
    // From here on no look-up ever ends, so that a request that waits for one would not either.
    wait_for("both look-ups to hang", || names.waiting.load(Ordering::SeqCst) == 2).await;
    for n in 0..10 {
        gateway.get("create", &format!("meetingID=m{n}&name=nn")).await.assert_success();
        gateway.get("getMeetings", "").await.assert_success();
    }
    assert_eq!((sims[0].meeting_count(), sims[1].meeting_count()), (10, 0));
    assert_eq!(names.waiting.load(Ordering::SeqCst), 2, "a request asked for a name");
}

#[tokio::test]
async fn a_silent_name_server_delays_no_other_name() {
    let sims = sims(2).await;
    let names = Names::default();
    let servers = [("bbb1.test", &sims[0]), ("bbb2.test", &sims[1])];
    let gateway = gateway(&names, Duration::from_secs(3600), &servers).await;
    names.set("bbb1.test", Says::Nothing);
    wait_for("a look-up to hang", || names.waiting.load(Ordering::SeqCst) == 1).await;
    names.set("bbb2.test", HERE);
    gateway.wait_health("bbb2.test", Health::Up).await;
    gateway.get("create", "meetingID=room&name=nn").await.assert_success();
    assert_eq!(sims[1].meeting_count(), 1);
}
