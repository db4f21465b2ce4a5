//! The parts that pass callbacks on, if they can be: without `public_url` servers cannot be told where.

use std::sync::Arc;

use anyhow::Context;
use pingora_core::tls::load_platform_certs_incl_env_into_store;
use rustls::RootCertStore;

use crate::app::App;
use crate::callback::seal::Keyring;
use crate::clock::Clock;
use crate::config::settings::Settings;
use crate::gateway::callbacks::Callbacks;
use crate::journal::{Folder, Journal, Nowhere};
use crate::services::deliver::Deliverer;
use crate::services::hooks::Keeper;
use crate::state::hooks::Hooks;
use crate::state::outbox::Outbox;
use crate::tenant::Tenants;

/// Where callbacks wait; `None` if they pass untouched.
pub(super) fn outbox(settings: &Settings, clock: Clock) -> Option<Arc<Outbox>> {
    settings.public_url.as_ref()?;
    let journal: Arc<dyn Journal> = match &settings.state_dir {
        Some(folder) => Arc::new(Folder::of(folder)),
        None => Arc::new(Nowhere),
    };
    Some(Arc::new(Outbox::new(keyring(settings), journal, clock)))
}

/// The keys of callback URLs: the front ends' secrets.
pub(super) fn keyring(settings: &Settings) -> Keyring {
    Keyring::new(Tenants::single(settings.secrets.clone()).secrets())
}

/// The hooks; `None` if servers cannot be told where to send events.
pub(super) fn hooks(settings: &Settings) -> Option<Arc<Hooks>> {
    settings.public_url.as_deref().map(|public_url| Arc::new(Hooks::new(public_url)))
}

impl App {
    /// What the gateway needs of it; says what it means if it is not there.
    pub(super) fn callbacks(&self) -> anyhow::Result<Option<Callbacks>> {
        let (Some(outbox), Some(hooks), Some(public_url)) =
            (&self.outbox, &self.hooks, &self.settings().public_url)
        else {
            // The smallest set-up is a good one, so this is no warning.
            log::info!(
                "callbacks pass untouched and hooks are refused, because public_url is not set: \
                 front ends will be told that meetings end, but not that recordings are ready, \
                 because servers sign that with their own secrets"
            );
            return Ok(None);
        };
        outbox.prepare().context("cannot keep callbacks in state_dir")?;
        if self.settings().state_dir.is_none() {
            log::warn!(
                "callbacks that cannot be delivered at once are lost with a restart, because \
                 state_dir is not set"
            );
        }
        Ok(Some(Callbacks::new(outbox.clone(), hooks.clone(), public_url)))
    }

    pub(super) fn keeper(&self) -> Option<Keeper> {
        let (outbox, hooks) = (self.outbox.clone()?, self.hooks.clone()?);
        Some(Keeper { hooks, outbox, state: self.state.clone(), client: self.client() })
    }

    pub(super) fn deliverer(&self) -> anyhow::Result<Option<Deliverer>> {
        let (Some(outbox), Some(hooks), Some(public_url)) =
            (&self.outbox, &self.hooks, &self.settings().public_url)
        else {
            return Ok(None);
        };
        let (outbox, hooks, state) = (outbox.clone(), hooks.clone(), self.state.clone());
        let (client, settings) = (self.client(), self.settings.subscribe());
        let authorities = authorities();
        Deliverer::new(outbox, hooks, state, client, settings, public_url, authorities).map(Some)
    }
}

/// Whom front ends' certificates may lead to. Without any, tinyscale still serves.
fn authorities() -> RootCertStore {
    let mut authorities = RootCertStore::empty();
    let loaded = load_platform_certs_incl_env_into_store(&mut authorities);
    if loaded.is_err() || authorities.is_empty() {
        log::warn!(
            "callbacks to https URLs will fail: no certificates of authorities on this machine; \
             install the package ca-certificates, or name a file in SSL_CERT_FILE"
        );
    }
    authorities
}
