//! Certificates that are ordered, from a real ACME server.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tinyscale::app::App;
use tinyscale::app::listen::Bound;
use tinyscale::config::settings::edge::{AcmeSettings, ListenTls, Redirect};
use tinyscale::config::settings::{Listen, Settings};

use crate::edge::authority::shake_hands;
use crate::edge::pebble::{BLOCKED, Pebble, Wanted};
use crate::harness::{Gateway, ask, ip, settings, sims, wait_for};

const NAMES: [&str; 2] = ["bbb.test", "www.bbb.test"];

/// A gateway that orders its certificate, with the server that it orders from.
struct World {
    pebble: Pebble,
    app: App,
    gateway: Gateway,
    state_dir: tempfile::TempDir,
    _sims: Vec<sim::Sim>,
}

fn order(domains: &[&str]) -> Listen {
    let acme = AcmeSettings {
        email: Some("ops@example.org".to_owned()),
        domains: domains.iter().map(|name| (*name).to_owned()).collect(),
        directory: String::new(),
        ca: None,
        first_retry: Duration::from_millis(300),
    };
    Listen {
        tls: Some(ListenTls { certificates: Vec::new(), acme: Some(acme) }),
        http2: true,
        ..Listen::plain(([127, 0, 0, 1], 0).into())
    }
}

impl World {
    /// The first entry must be one with `acme`; a second one is for proofs by HTTP.
    async fn start(listen: Vec<Listen>, lifetime_s: u64) -> Self {
        let bound = Bound::to(&listen).unwrap();
        let ports: Vec<u16> = bound.addresses().map(|address| ip(address).port()).collect();
        let (tls, http) = (ports[0], ports.get(1).copied().unwrap_or(1));
        let pebble = Pebble::start(&Wanted { http, tls, lifetime_s }).await;
        let sims = sims(1).await;
        let state_dir = tempfile::tempdir().unwrap();
        let mut settings: Settings = settings(&sims);
        settings.state_dir = Some(state_dir.path().to_owned());
        settings.listen = listen;
        let tls = settings.listen[0].tls.as_mut().unwrap();
        let acme = tls.acme.as_mut().unwrap();
        (acme.directory, acme.ca) = (pebble.directory(), Some(pebble.authority.file()));
        let app = App::new(settings).unwrap();
        app.roll_call().await.unwrap();
        let state = app.state().clone();
        let running = app.start(bound).unwrap();
        let gateway = Gateway { address: ip(&running.addresses()[0]), state, running };
        Self { pebble, app, gateway, state_dir, _sims: sims }
    }

    fn good(&self) -> u64 {
        self.app.acme_outcomes().good.load(Ordering::Relaxed)
    }

    fn bad(&self) -> u64 {
        self.app.acme_outcomes().bad.load(Ordering::Relaxed)
    }

    async fn is_served(&self, name: &str) -> bool {
        let client = self.pebble.client().await;
        shake_hands(self.gateway.address, name, client).await.is_ok()
    }
}

#[tokio::test]
async fn by_http_and_kept_over_a_restart() {
    let plain = Listen::plain(([127, 0, 0, 1], 0).into());
    // Proofs are shown though everything else is sent to https.
    let plain = Listen { redirect: Redirect::All, ..plain };
    let world = World::start(vec![order(&NAMES), plain], 3600).await;
    wait_for("a certificate", || world.good() == 1).await;
    for name in NAMES {
        assert!(world.is_served(name).await, "{name}");
    }
    assert_eq!(world.bad(), 0);
    let folder = world.state_dir.path().join("acme");
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap()).collect();
    let mut names: Vec<String> =
        files.iter().map(|file| file.file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names[0].starts_with("account-") && names[1].starts_with("bbb.test-"), "{names:?}");
    for file in files.iter().filter(|file| file.path().is_file()) {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file:?}");
    }
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(std::fs::read_dir(folder.join("proofs")).unwrap().count(), 0, "nothing is left");

    // Another process on the same folder has it, and orders nothing.
    let mut again = (*world.app.settings()).clone();
    again.listen[0].address = "127.0.0.1:0".parse().unwrap();
    again.listen[1].address = "127.0.0.1:0".parse().unwrap();
    let other = App::new(again).unwrap();
    let gateway = Gateway::run(&other).await;
    let client = world.pebble.client().await;
    shake_hands(gateway.address, NAMES[0], client).await.unwrap();
    assert_eq!(other.certificate_reports().len(), 1);
    assert_eq!(other.acme_outcomes().good.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn in_a_handshake_where_there_is_no_http() {
    let world = World::start(vec![order(&NAMES)], 3600).await;
    wait_for("a certificate", || world.good() == 1).await;
    assert_eq!(world.bad(), 0, "the first try must be the right one");
    assert!(world.is_served(NAMES[1]).await);
    // Nothing but proofs is shown in such a handshake.
    let mut client = world.pebble.client().await;
    client.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    assert!(shake_hands(world.gateway.address, NAMES[0], client).await.is_err());
}

#[tokio::test]
async fn refused_it_is_said_and_nothing_else_is_shown() {
    let plain = Listen::plain(([127, 0, 0, 1], 0).into());
    let plain = Listen { redirect: Redirect::All, ..plain };
    let world = World::start(vec![order(&[NAMES[0], BLOCKED]), plain], 3600).await;
    wait_for("refusals", || world.bad() >= 2).await;
    assert_eq!(world.good(), 0);
    assert!(!world.is_served(NAMES[0]).await);
    let address = ip(&world.gateway.running.addresses()[1]);
    let request = "GET / HTTP/1.1\r\nHost: bbb.test\r\nConnection: close\r\n\r\n";
    let answer = ask(address, request).await;
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("still being ordered"), "{}", answer.text());
    let path =
        "GET /.well-known/acme-challenge/nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_eq!(ask(address, path).await.status, 404);
}

/// Handshakes until it is dropped; each must be good.
struct Load {
    stop: Arc<AtomicBool>,
    tried: Arc<AtomicUsize>,
    failed: Arc<AtomicUsize>,
}

impl Load {
    async fn start(world: &World) -> Self {
        let load = Self { stop: Arc::default(), tried: Arc::default(), failed: Arc::default() };
        for _ in 0..4 {
            let client = world.pebble.client().await;
            let address = world.gateway.address;
            let (stop, tried) = (load.stop.clone(), load.tried.clone());
            let failed = load.failed.clone();
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let shaken = shake_hands(address, NAMES[0], client.clone()).await;
                    tried.fetch_add(1, Ordering::Relaxed);
                    failed.fetch_add(usize::from(shaken.is_err()), Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
        }
        load
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn it_is_renewed_under_load_and_again_after_its_server_was_away() {
    let plain = Listen::plain(([127, 0, 0, 1], 0).into());
    let mut world = World::start(vec![order(&NAMES), plain], 12).await;
    wait_for("a certificate", || world.good() == 1).await;
    let load = Load::start(&world).await;
    wait_for("a renewal", || world.good() >= 2).await;
    let before = load.tried.load(Ordering::Relaxed);
    wait_for("more handshakes", || load.tried.load(Ordering::Relaxed) > before + 20).await;
    assert_eq!(load.failed.load(Ordering::Relaxed), 0);

    // The server is gone when the next renewal is due; what is there goes on.
    let client = world.pebble.client().await;
    world.pebble.down().await;
    wait_for("a failed order", || world.bad() >= 1).await;
    shake_hands(world.gateway.address, NAMES[0], client).await.unwrap();
    drop(load);

    // It is back, and knows nothing of the account.
    assert!(world.pebble.up().await);
    let before = world.good();
    wait_for("a renewal after that", || world.good() > before).await;
    assert!(world.is_served(NAMES[0]).await);
}
