//! Keeps the addresses of servers' names true, in the background: requests never wait for DNS.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::client::addresses::Addresses;

/// How often names are looked up again. The system's resolver does not tell how long an answer holds.
const INTERVAL: Duration = Duration::from_secs(30);
/// While a name has no address at all.
const INTERVAL_UNKNOWN: Duration = Duration::from_secs(2);
const DEADLINE: Duration = Duration::from_secs(5);

/// Looks `host` up once; a failure changes nothing.
pub async fn once(addresses: &Addresses, host: &str) {
    if host.parse::<IpAddr>().is_ok() {
        return;
    }
    match tokio::time::timeout(DEADLINE, tokio::net::lookup_host((host, 0))).await {
        Ok(Ok(found)) => {
            let mut found: Vec<IpAddr> = found.map(|address| address.ip()).collect();
            found.dedup();
            if addresses.learn(host, &found) {
                log::info!("name resolved; host={host} addresses={}", found.len());
            }
        }
        Ok(Err(why)) => log::debug!("name not resolved; host={host} reason={why}"),
        Err(_) => log::debug!("name not resolved; host={host} reason=no answer in time"),
    }
}

/// Keeps all `hosts` resolved until `shutdown` turns true.
pub async fn run(
    addresses: Arc<Addresses>,
    hosts: Vec<String>,
    mut shutdown: watch::Receiver<bool>,
) {
    loop {
        futures::future::join_all(hosts.iter().map(|host| once(&addresses, host))).await;
        let unknown = hosts.iter().any(|host| addresses.of(host).is_empty());
        let pause = if unknown { INTERVAL_UNKNOWN } else { INTERVAL };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
    }
}
