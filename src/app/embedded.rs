//! Runs it inside another program's runtime, on listeners that are passed in: for tests and benches, many in
//! one process. The parts are those of `serve`; only signals and Pingora's server around them are missing.

use std::sync::Arc;

use pingora_core::services::background::BackgroundService;
use tokio::sync::watch;

use crate::app::App;
use crate::app::listen::Bound;
use crate::app::stop::serve;
use crate::config::settings::Address;

/// Something that serves until it is dropped.
pub struct Running {
    addresses: Vec<Address>,
    admin: Option<Address>,
    shutdown: watch::Sender<bool>,
}

impl Running {
    /// Where operators are answered.
    pub fn admin(&self) -> Option<&Address> {
        self.admin.as_ref()
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[Address] {
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
        let gateway = self.gateway(&conf)?;
        let background = self.background()?;
        let addresses = bound.addresses().cloned().collect();
        let doors = bound.into_doors(self.certificates())?;
        let (shutdown, watching) = watch::channel(false);
        tokio::spawn(serve(gateway, doors, watching.clone()));
        let operators = self.bind_admin()?;
        let admin = operators.as_ref().map(|operators| operators.address().clone());
        if let Some(operators) = operators {
            let watching = watching.clone();
            tokio::spawn(async move { operators.start(watching).await });
        }
        tokio::spawn(async move { background.start(watching).await });
        Ok(Running { addresses, admin, shutdown })
    }
}
