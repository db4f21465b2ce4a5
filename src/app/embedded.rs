//! Runs it inside another program's runtime, on listeners that are passed in: for tests and benches, many in
//! one process. The parts are those of `serve`; only signals and Pingora's server around them are missing.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use parking_lot::Mutex;
use pingora_core::server::Fds;
use pingora_core::services::Service;
use pingora_core::services::background::BackgroundService;
use tokio::sync::watch;

use crate::app::App;
use crate::app::listen::Bound;
use crate::app::serving::add_listener;

/// Something that serves until it is dropped.
pub struct Running {
    addresses: Vec<SocketAddr>,
    shutdown: watch::Sender<bool>,
}

impl Running {
    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that everything has ended already.
        let _ = self.shutdown.send(true);
    }
}

impl App {
    /// Starts on `bound`. The caller has done the roll call, or means to start without.
    pub fn start(&self, bound: Bound) -> anyhow::Result<Running> {
        let conf = Arc::new(self.server_conf());
        let mut gateway = self.gateway(&conf)?;
        let background = self.background()?;
        let mut addresses = Vec::new();
        let mut fds = Fds::new();
        for (address, fd) in bound.into_fds() {
            addresses.push(address.parse().context("a listener without an address")?);
            add_listener(&mut gateway, &address);
            fds.add(address, fd);
        }
        let (shutdown, watching) = watch::channel(false);
        let stopping = watching.clone();
        tokio::spawn(async move {
            gateway.start_service(Some(Arc::new(Mutex::new(fds))), stopping, 1).await;
        });
        tokio::spawn(async move { background.start(watching).await });
        Ok(Running { addresses, shutdown })
    }
}
