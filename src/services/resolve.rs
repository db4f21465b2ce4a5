//! Keeps the addresses of servers' names true, in the background: requests never wait for DNS.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::client::addresses::Addresses;

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

    /// Keeps all `hosts` resolved until `shutdown` turns true. Each goes its own way: a name server that is
    /// silent about one delays no other (design rule 6).
    pub async fn run(
        &self,
        addresses: &Addresses,
        hosts: &[String],
        mut shutdown: watch::Receiver<bool>,
    ) {
        let names = hosts.iter().filter(|host| host.parse::<IpAddr>().is_err());
        let watching = futures::future::join_all(names.map(|host| self.watch(addresses, host)));
        tokio::select! {
            _ = watching => {}
            // An error means that nobody is left who could ask for a stop.
            _ = shutdown.wait_for(|stop| *stop) => {}
        }
    }

    async fn watch(&self, addresses: &Addresses, host: &str) {
        loop {
            // Asked just before, when the servers were called the first time.
            let unknown = addresses.of(host).is_empty();
            tokio::time::sleep(if unknown { self.interval_unknown } else { self.interval }).await;
            self.once(addresses, host).await;
        }
    }
}
