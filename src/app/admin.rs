//! The listener for operators as a service of the process, bound like the others before anything starts.

use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;

use crate::admin::{Admin, listener};
use crate::app::App;
use crate::app::listen::Bound;
use crate::config::settings::{Address, Listen};
use crate::edge::door::Listener;

/// How often an address is tried that another process still has.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Answers operators and monitoring.
pub(crate) struct Operators {
    address: Address,
    wanted: Listen,
    /// Until it is started; `None`: another process has it until then.
    listener: Mutex<Option<Listener>>,
    admin: Admin,
}

impl Operators {
    /// Where.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    async fn bound(&self, ours: Option<Listener>) -> Listener {
        if let Some(listener) = ours {
            return listener;
        }
        loop {
            let bound = Bound::to(std::slice::from_ref(&self.wanted));
            if let Some((_, listener)) = bound.ok().and_then(Bound::into_first) {
                return listener;
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
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
            wanted: wanted.listen.clone(),
            listener: Mutex::new(Some(listener)),
            admin,
        }))
    }

    /// The same as soon as the process that has it lets go of it.
    pub(crate) fn admin_later(&self) -> Option<Operators> {
        let settings = self.settings();
        let wanted = settings.admin.as_ref()?;
        let admin = Admin::new(self.state.clone(), wanted);
        let (address, wanted) = (wanted.listen.address.clone(), wanted.listen.clone());
        Some(Operators { address, wanted, listener: Mutex::default(), admin })
    }
}

#[async_trait]
impl BackgroundService for Operators {
    async fn start(&self, shutdown: ShutdownWatch) {
        let mut stopping = shutdown.clone();
        let ours = self.listener.lock().take();
        let listener = tokio::select! {
            listener = self.bound(ours) => listener,
            // An error means that nobody is left to answer.
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        listener::run(self.admin.clone(), listener, shutdown).await;
    }
}
