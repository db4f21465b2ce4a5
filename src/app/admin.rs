//! The listener for operators as a service of the process, bound like the others before anything starts.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;

use crate::admin::{Admin, listener};
use crate::app::App;
use crate::app::listen::Bound;
use crate::config::settings::Address;
use crate::edge::door::Listener;
use crate::metrics::beside::{Beside, Taken};

/// Answers operators and monitoring.
pub(crate) struct Operators {
    address: Address,
    /// Until it is started.
    listener: Mutex<Option<Listener>>,
    admin: Admin,
}

impl Operators {
    /// Where.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }
}

impl App {
    /// Binds the listener for operators, if there is to be one.
    pub(crate) fn bind_admin(&self) -> anyhow::Result<Option<Operators>> {
        let settings = self.settings();
        let Some(wanted) = &settings.admin else { return Ok(None) };
        let bound = Bound::to(std::slice::from_ref(&wanted.listen))?.into_first();
        let app = self.clone();
        let process = Arc::new(move || app.process_metrics());
        let admin = Admin::new(self.state.clone(), wanted, process);
        Ok(bound.map(|(address, listener)| Operators {
            address,
            listener: Mutex::new(Some(listener)),
            admin,
        }))
    }

    /// What monitoring is told of the process itself.
    fn process_metrics(&self) -> Beside {
        // Of two for the same name, one for each kind of key, the first to expire matters.
        let mut certificates: BTreeMap<String, u64> = BTreeMap::new();
        for certificate in self.certificates.used() {
            let (name, until) = (certificate.names.first().cloned(), certificate.valid_s.1);
            let earliest = certificates.entry(name.unwrap_or_default()).or_insert(until);
            *earliest = until.min(*earliest);
        }
        let reload = self.last_reload().map(|reload| {
            (reload.at_unix_s, if reload.outcome.is_ok() { Taken::Yes } else { Taken::No })
        });
        Beside { certificates: certificates.into_iter().collect(), reload, ..Beside::default() }
    }
}

#[async_trait]
impl BackgroundService for Operators {
    async fn start(&self, shutdown: ShutdownWatch) {
        let listener = self.listener.lock().take();
        if let Some(listener) = listener {
            listener::run(self.admin.clone(), listener, shutdown).await;
        }
    }
}
