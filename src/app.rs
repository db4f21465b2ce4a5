//! Puts the parts together: from settings to something that serves. `serve` runs it as a process on Pingora's
//! server; tests start the same parts on listeners of their own.

mod callbacks;
pub mod embedded;
pub mod kept;
pub mod limits;
pub mod listen;
pub mod roll_call;
pub mod serve;
mod stop;
mod trust;

use std::sync::Arc;

use async_trait::async_trait;
use pingora_core::server::ShutdownWatch;
use pingora_core::server::configuration::ServerConf;
use pingora_core::services::background::BackgroundService;
use pingora_core::services::listening::Service;
use pingora_proxy::{HttpProxy, http_proxy_service_with_name};

use crate::app::trust::Trust;
use crate::client::Client;
use crate::client::addresses::Addresses;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::cluster::server::ServerId;
use crate::config::settings::{ServerSettings, Settings};
use crate::gateway::Gateway;
use crate::services::deliver::Deliverer;
use crate::services::hooks::Keeper;
use crate::services::probe;
use crate::services::resolve::Lookup;
use crate::state::State;
use crate::state::hooks::Hooks;
use crate::state::outbox::Outbox;

/// Everything that runs, before it runs.
pub struct App {
    settings: Arc<Settings>,
    state: Arc<State>,
    addresses: Arc<Addresses>,
    servers: Vec<(ServerId, ServerSettings)>,
    outbox: Option<Arc<Outbox>>,
    hooks: Option<Arc<Hooks>>,
    lookup: Lookup,
    trust: Trust,
}

impl App {
    /// Puts it together. Nothing is asked and nothing listens yet. Fails if certificates of authorities that
    /// the settings need cannot be used.
    pub fn new(settings: Settings) -> anyhow::Result<Self> {
        Self::with_lookup(settings, Lookup::default())
    }

    /// The same, with another way to look names up.
    pub fn with_lookup(settings: Settings, lookup: Lookup) -> anyhow::Result<Self> {
        let trust = Trust::load(&settings.servers)?;
        let clock = Clock::start();
        let balance = &settings.balance;
        let placement = balance.policy.placement(balance.weights.two_giants);
        let mut cluster = Cluster::new(balance.rules(&settings.probe), placement);
        let servers = settings
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
        let (settings, addresses) = (Arc::new(settings), Arc::default());
        let app = Self { settings, state, addresses, servers, lookup, trust, outbox, hooks };
        // A CA file that cannot be used is a mistake to tell before anything is asked.
        app.client()?;
        Ok(app)
    }

    /// The settings it was made from.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What its services share.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    fn client(&self) -> anyhow::Result<Client> {
        let servers = self.servers.iter().map(|(id, server)| (*id, server));
        let connect = self.settings.timeouts.connect;
        Client::new(servers, &self.addresses, connect, &self.trust.system)
    }

    /// Pingora's own settings, every one that matters set: several of its defaults wait for ever.
    pub fn server_conf(&self) -> ServerConf {
        let settings = &self.settings;
        ServerConf {
            threads: settings.threads,
            work_stealing: settings.threads > 1,
            ca_file: self.trust.pingora_file.clone(),
            // Longer than ours, which `stop` keeps: Pingora knows only whole seconds and sleeps them all.
            grace_period_seconds: Some(settings.grace_period.as_secs().saturating_add(60)),
            graceful_shutdown_timeout_seconds: Some(1),
            upstream_keepalive_pool_size: 1024,
            max_retries: 16,
            ..ServerConf::default()
        }
    }

    fn hosts(&self) -> Vec<String> {
        let hosts = self.servers.iter().map(|(_, server)| server.spec.url.bare_host().to_owned());
        let mut hosts: Vec<String> = hosts.collect();
        hosts.sort();
        hosts.dedup();
        hosts
    }

    /// The service that answers the API, without listeners.
    pub fn gateway(&self, conf: &Arc<ServerConf>) -> anyhow::Result<Service<HttpProxy<Gateway>>> {
        let servers = self.servers.iter().map(|(id, server)| (*id, server));
        let gateway = Gateway::new(
            &self.settings,
            servers,
            self.state.clone(),
            self.client()?,
            self.addresses.clone(),
            conf,
        )?
        .with_callbacks(self.callbacks()?);
        Ok(http_proxy_service_with_name(conf, gateway, "tinyscale"))
    }

    /// What runs beside it.
    pub fn background(&self) -> anyhow::Result<Background> {
        Ok(Background {
            state: self.state.clone(),
            client: self.client()?,
            addresses: self.addresses.clone(),
            hosts: self.hosts(),
            lookup: self.lookup.clone(),
            settings: self.settings.clone(),
            deliverer: self.deliverer()?,
            keeper: self.keeper()?,
        })
    }
}

/// Probes, name look-ups, the delivery of callbacks, and the hooks at servers.
pub struct Background {
    state: Arc<State>,
    client: Client,
    addresses: Arc<Addresses>,
    hosts: Vec<String>,
    lookup: Lookup,
    settings: Arc<Settings>,
    deliverer: Option<Deliverer>,
    keeper: Option<Keeper>,
}

#[async_trait]
impl BackgroundService for Background {
    async fn start(&self, shutdown: ShutdownWatch) {
        let probes = probe::run(
            self.state.clone(),
            self.client.clone(),
            self.settings.probe,
            shutdown.clone(),
        );
        let names = self.lookup.run(&self.addresses, &self.hosts, shutdown.clone());
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
        let forgetting = self.state.keep_forgetting();
        tokio::select! {
            _ = futures::future::join4(probes, names, delivering, keeping) => {}
            () = forgetting => {}
        }
    }
}
