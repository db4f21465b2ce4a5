//! Puts the parts together: from settings to something that serves. `serve` runs it as a process on Pingora's
//! server; tests start the same parts on listeners of their own.

mod access_log;
mod admin;
mod callbacks;
mod certificates;
pub mod control;
pub mod embedded;
mod guard;
pub mod kept;
pub mod limits;
pub mod listen;
pub mod notify;
pub mod reload;
pub mod roll_call;
pub mod serve;
pub mod serving;
mod stop;
mod trust;
pub mod upgrade;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora_core::apps::HttpServerOptions;
use pingora_core::connectors::ConnectorOptions;
use pingora_core::connectors::http::v1::Connector;
use pingora_core::server::ShutdownWatch;
use pingora_core::server::configuration::ServerConf;
use pingora_core::services::background::BackgroundService;
use pingora_proxy::{HttpProxy, http_proxy};
use tokio::sync::watch;

use crate::app::notify::Systemd;
use crate::app::trust::Trust;
use crate::client::Client;
use crate::client::addresses::Addresses;
use crate::client::lines::Lines;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::cluster::server::ServerId;
use crate::config::settings::{ServerSettings, Settings};
use crate::edge::access_log::writer::AccessLog;
use crate::edge::acme::proofs::Proofs;
use crate::edge::acme::{self, Outcomes};
use crate::edge::certificates::Certificates;
use crate::edge::guard::Guard;
use crate::gateway::Gateway;
use crate::gateway::entrance::Entrance;
use crate::gateway::live::Live;
use crate::services::deliver::Deliverer;
use crate::services::hooks::Keeper;
use crate::services::resolve::Lookup;
use crate::services::{drain, probe, sizes};
use crate::state::State;
use crate::state::hooks::Hooks;
use crate::state::outbox::Outbox;

/// How long a connection with HTTP/2 is kept that nobody uses; one with HTTP/1 as long.
const H2_IDLE: Duration = Duration::from_secs(75);

/// Everything that runs. Clones are the same one.
#[derive(Clone)]
pub struct App {
    /// Those in force.
    settings: watch::Sender<Arc<Settings>>,
    state: Arc<State>,
    addresses: Arc<Addresses>,
    /// How each server is called, those that only stay for their meetings too. Whoever changes servers holds
    /// the lock meanwhile.
    fleet: Arc<Mutex<Fleet>>,
    lines: Arc<Lines>,
    outbox: Option<Arc<Outbox>>,
    hooks: Option<Arc<Hooks>>,
    lookup: Lookup,
    trust: Arc<Trust>,
    certificates: Arc<Certificates>,
    proofs: Arc<Proofs>,
    acme_outcomes: Arc<Outcomes>,
    /// Once something serves.
    live: Arc<OnceLock<Live>>,
    reloads: Arc<reload::Reloads>,
    systemd: Arc<OnceLock<Arc<Systemd>>>,
    /// Once something serves.
    access_log: Arc<OnceLock<Option<AccessLog>>>,
    guard: Arc<Guard>,
}

/// The servers and how they are called.
type Fleet = Vec<(ServerId, ServerSettings)>;

impl App {
    /// Puts it together. Nothing is asked and nothing listens yet. Fails if certificates of authorities that
    /// the settings need cannot be used.
    pub fn new(settings: Settings) -> anyhow::Result<Self> {
        Self::with_lookup(settings, Lookup::default())
    }

    /// The same, with another way to look names up.
    pub fn with_lookup(settings: Settings, lookup: Lookup) -> anyhow::Result<Self> {
        let trust = Trust::load(&settings.servers)?;
        let certificates = Arc::new(certificates::load(&settings)?);
        let proofs = Arc::new(certificates::proofs(&settings));
        let clock = Clock::start();
        let balance = &settings.balance;
        let placement = balance.policy.placement(balance.weights.two_giants);
        let mut cluster = Cluster::new(balance.rules(&settings.probe), placement);
        let fleet: Fleet = settings
            .servers
            .iter()
            .map(|server| {
                let spec = Arc::new(server.spec.clone());
                (cluster.add_server(spec, clock.now()), server.clone())
            })
            .collect();
        let state = Arc::new(State::new(cluster, clock));
        let outbox = callbacks::outbox(&settings, clock);
        let hooks = callbacks::hooks(&settings);
        let lines = Lines::default();
        // A CA file that cannot be used is a mistake to tell before anything is asked.
        lines.put(lines.ways(called(&fleet), settings.timeouts.connect, trust.system())?);
        let guard = Arc::new(Guard::new(guard::limits(&settings)));
        Ok(Self {
            settings: watch::Sender::new(Arc::new(settings)),
            state,
            addresses: Arc::default(),
            fleet: Arc::new(Mutex::new(fleet)),
            lines: Arc::new(lines),
            outbox,
            hooks,
            lookup,
            trust: Arc::new(trust),
            certificates,
            proofs,
            acme_outcomes: Arc::default(),
            live: Arc::default(),
            reloads: Arc::default(),
            systemd: Arc::default(),
            access_log: Arc::default(),
            guard,
        })
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.borrow().clone()
    }

    /// Who is told how the process is doing. The first one counts.
    pub fn tell(&self, systemd: Systemd) {
        let _ = self.systemd.set(Arc::new(systemd));
    }

    fn systemd(&self) -> Arc<Systemd> {
        self.systemd.get_or_init(Arc::default).clone()
    }

    /// What its services share.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    fn client(&self) -> Client {
        Client::new(&self.lines, &self.addresses)
    }

    /// Pingora's own settings, every one that matters set: several of its defaults wait for ever.
    pub fn server_conf(&self) -> ServerConf {
        let settings = self.settings();
        ServerConf {
            threads: settings.threads,
            work_stealing: settings.threads > 1,
            ca_file: self.trust.pingora_file(),
            // Longer than ours, which `stop` keeps: Pingora knows only whole seconds and sleeps them all.
            grace_period_seconds: Some(settings.grace_period.as_secs().saturating_add(60)),
            graceful_shutdown_timeout_seconds: Some(1),
            upstream_keepalive_pool_size: 1024,
            max_retries: 16,
            ..ServerConf::default()
        }
    }

    /// The certificates of its TLS listeners.
    pub fn certificates(&self) -> &Arc<Certificates> {
        &self.certificates
    }

    /// What answers the API, without listeners.
    pub fn gateway(&self, conf: &Arc<ServerConf>) -> anyhow::Result<HttpProxy<Live>> {
        let callbacks = self.callbacks()?;
        let entrance =
            Entrance::new(&self.settings(), self.certificates.clone(), self.proofs.clone());
        // No reload in between, which this gateway would miss.
        let fleet = self.fleet.lock();
        let (state, addresses) = (self.state.clone(), self.addresses.clone());
        let connector = Connector::new(Some(ConnectorOptions::from_server_conf(conf)));
        let (settings, client) = (self.settings(), self.client());
        let gateway =
            Gateway::new(&settings, called(&fleet), state, client, addresses, connector.into())?;
        let gateway = gateway.with_access_log(self.access_log()?).with_guard(self.guard.clone());
        let live = Live::new(gateway.with_callbacks(callbacks).with_entrance(entrance));
        let live = self.live.get_or_init(|| live).clone();
        let mut proxy = http_proxy(conf, live);
        let mut options = HttpServerOptions::default();
        options.h2_idle_timeout = Some(H2_IDLE);
        proxy.server_options = Some(options);
        Ok(proxy)
    }

    /// What runs beside it.
    pub fn background(&self) -> anyhow::Result<Background> {
        Ok(Background {
            state: self.state.clone(),
            client: self.client(),
            addresses: self.addresses.clone(),
            lookup: self.lookup.clone(),
            settings: self.settings.subscribe(),
            deliverer: self.deliverer()?,
            keeper: self.keeper(),
            certificates: self.certificates.clone(),
            keepers: Mutex::new(self.certificate_keepers()),
        })
    }
}

/// As those want them who call servers.
fn called(fleet: &Fleet) -> impl Iterator<Item = (ServerId, &ServerSettings)> {
    fleet.iter().map(|(id, server)| (*id, server))
}

/// Probes, name look-ups, the delivery of callbacks, and the hooks at servers.
pub struct Background {
    state: Arc<State>,
    client: Client,
    addresses: Arc<Addresses>,
    lookup: Lookup,
    settings: watch::Receiver<Arc<Settings>>,
    deliverer: Option<Deliverer>,
    keeper: Option<Keeper>,
    certificates: Arc<Certificates>,
    /// Taken by the start.
    keepers: Mutex<Vec<acme::Keeper>>,
}

#[async_trait]
impl BackgroundService for Background {
    async fn start(&self, shutdown: ShutdownWatch) {
        let probes = probe::run(
            self.state.clone(),
            self.client.clone(),
            self.settings.clone(),
            shutdown.clone(),
        );
        let names = self.lookup.run(&self.addresses, &self.state, shutdown.clone());
        let delivering = async {
            if let Some(deliverer) = &self.deliverer {
                deliverer.clone().run(shutdown.clone()).await;
            }
        };
        let keeping = async {
            if let Some(keeper) = &self.keeper {
                keeper.clone().run(shutdown.clone()).await;
            }
        };
        let draining = drain::Drains {
            state: self.state.clone(),
            client: self.client.clone(),
            settings: self.settings.clone(),
        };
        let draining = draining.run(shutdown.clone());
        let remembering = sizes::run(self.state.clone(), shutdown.clone());
        let keepers = std::mem::take(&mut *self.keepers.lock());
        let ordering = certificates::keep_ordering(keepers);
        let forgetting = self.state.keep_forgetting();
        let all = async {
            tokio::join!(probes, names, delivering, keeping, draining, remembering);
        };
        tokio::select! {
            () = all => {}
            () = forgetting => {}
            () = certificates::keep_looking(&self.certificates) => {}
            () = ordering => {}
        }
    }
}
