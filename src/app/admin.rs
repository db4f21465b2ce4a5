//! The listener for operators as a service of the process, bound like the others before anything starts.

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;

use crate::admin::{Admin, listener};
use crate::app::App;
use crate::app::listen::Bound;
use crate::config::settings::Address;
use crate::edge::door::Listener;

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
        let admin = Admin::new(self.state.clone(), wanted);
        Ok(bound.map(|(address, listener)| Operators {
            address,
            listener: Mutex::new(Some(listener)),
            admin,
        }))
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
