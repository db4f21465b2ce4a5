//! Keeps the addresses of servers' names true, in the background: requests never wait for DNS.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::client::addresses::Addresses;
use crate::services::each;
use crate::state::State;

/// Turns names into addresses.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// The addresses of `host`, the preferred first.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The operating system's way: hosts file, DNS and whatever else is set up there.
struct System;

#[async_trait]
impl Resolver for System {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// How names are looked up, and how often.
#[derive(Clone)]
pub struct Lookup {
    /// What is asked.
    pub resolver: Arc<dyn Resolver>,
    /// How often it is asked again. The system does not tell how long an answer holds.
    pub interval: Duration,
    /// How often while a name has no address at all.
    pub interval_unknown: Duration,
    /// How long one answer may take.
    pub deadline: Duration,
}

impl Default for Lookup {
    fn default() -> Self {
        Self {
            resolver: Arc::new(System),
            interval: Duration::from_secs(30),
            interval_unknown: Duration::from_secs(2),
            deadline: Duration::from_secs(5),
        }
    }
}

impl Lookup {
    /// Looks `host` up once. A failure changes nothing: what was known stays.
    pub async fn once(&self, addresses: &Addresses, host: &str) {
        if host.parse::<IpAddr>().is_ok() {
            return;
        }
        match tokio::time::timeout(self.deadline, self.resolver.resolve(host)).await {
            Ok(Ok(mut found)) => {
                found.dedup();
                if addresses.learn(host, &found) {
                    log::info!("name resolved; host={host} addresses={}", found.len());
                }
            }
            Ok(Err(why)) => log::debug!("name not resolved; host={host} reason={why}"),
            Err(_) => log::debug!("name not resolved; host={host} reason=no answer in time"),
        }
    }

    /// Keeps the hosts of all servers resolved, those that come later too, until `shutdown` turns true. Each goes
    /// its own way: a name server that is silent about one delays no other (design rule 6).
    pub async fn run(
        &self,
        addresses: &Arc<Addresses>,
        state: &Arc<State>,
        shutdown: watch::Receiver<bool>,
    ) {
        let names = || {
            let mut hosts = hosts(state);
            hosts.retain(|host| host.parse::<IpAddr>().is_err());
            hosts
        };
        let watch = |host: String| {
            let (this, addresses, state) = (self.clone(), addresses.clone(), state.clone());
            async move { this.watch(&addresses, &state, &host).await }
        };
        each::run(names, watch, state.watch_servers(), shutdown).await;
    }

    async fn watch(&self, addresses: &Addresses, state: &State, host: &str) {
        if addresses.of(host).is_empty() {
            self.once(addresses, host).await;
            if !addresses.of(host).is_empty() {
                probe_soon(state, host);
            }
        }
        loop {
            // Asked just before, when the servers were called the first time.
            let unknown = addresses.of(host).is_empty();
            tokio::time::sleep(if unknown { self.interval_unknown } else { self.interval }).await;
            self.once(addresses, host).await;
        }
    }
}

/// The hosts of all servers, each once.
pub fn hosts(state: &State) -> Vec<String> {
    let servers = state.servers();
    let mut hosts: Vec<String> =
        servers.iter().map(|(_, spec)| spec.url.bare_host().to_owned()).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

/// A server that is new has a name that nobody has looked up yet; its first probe found no address.
fn probe_soon(state: &State, host: &str) {
    for (server, spec) in state.servers() {
        if spec.url.bare_host() == host {
            state.probe_soon(server);
        }
    }
}
