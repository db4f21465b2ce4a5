//! The authorities that this machine trusts. Read before Pingora reads them: it panics if it cannot.

use std::sync::OnceLock;

use anyhow::bail;
use pingora_core::tls::load_platform_certs_incl_env_into_store;
use rustls::RootCertStore;

use crate::config::settings::{ServerSettings, TlsCheck};

/// Holds no certificate, which is what Pingora is given if there are none.
const NO_CERTIFICATES: &str = "/dev/null";

/// The machine's certificate store, read when it is first needed.
pub(crate) struct Trust {
    machine: OnceLock<Result<RootCertStore, String>>,
    /// What servers are checked against that need none.
    nobody: RootCertStore,
    /// Whether Pingora, which reads the store once, has it.
    pingora: OnceLock<bool>,
}

impl Trust {
    /// Reads the store if one of `servers` needs it. Then it must be there and hold something.
    pub(crate) fn load(servers: &[ServerSettings]) -> anyhow::Result<Self> {
        let (machine, pingora) = (OnceLock::new(), OnceLock::new());
        let trust = Self { machine, nobody: RootCertStore::empty(), pingora };
        trust.covers(servers)?;
        Ok(trust)
    }

    /// Reads the store if there is one, because a server that needs it may come with a reload.
    pub(crate) fn prepare(&self) {
        let _ = self.machine();
    }

    fn machine(&self) -> &Result<RootCertStore, String> {
        self.machine.get_or_init(|| {
            let mut system = RootCertStore::empty();
            match load_platform_certs_incl_env_into_store(&mut system) {
                Ok(()) if !system.is_empty() => Ok(system),
                Ok(()) => Err("there is none".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        })
    }

    /// The authorities, read now if they were not before.
    pub(crate) fn authorities(&self) -> anyhow::Result<RootCertStore> {
        match self.machine() {
            Ok(system) => Ok(system.clone()),
            Err(why) => bail!(
                "the certificates of authorities on this machine cannot be used: {why}; install the package \
                 ca-certificates, or name a file in SSL_CERT_FILE"
            ),
        }
    }

    /// The authorities, none if they were not needed so far.
    pub(crate) fn system(&self) -> &RootCertStore {
        match self.machine.get() {
            Some(Ok(system)) => system,
            Some(Err(_)) | None => &self.nobody,
        }
    }

    /// What Pingora reads instead of the machine's store; `None` to read that.
    pub(crate) fn pingora_file(&self) -> Option<String> {
        let has = *self.pingora.get_or_init(|| matches!(self.machine.get(), Some(Ok(_))));
        (!has).then(|| NO_CERTIFICATES.to_owned())
    }

    /// Fails if one of `servers` needs the store and it cannot be used.
    pub(crate) fn covers(&self, servers: &[ServerSettings]) -> anyhow::Result<()> {
        let asking = servers.iter().find(|server| {
            // Pingora wants a store even for a server whose certificate it does not check.
            server.spec.url.https && !matches!(server.tls, TlsCheck::Ca(_))
        });
        let Some(asking) = asking else { return Ok(()) };
        let name = &asking.spec.name;
        if let Err(why) = self.machine() {
            bail!(
                "{name} is called over https, but the certificates of authorities on this machine cannot be \
                 used: {why}; install the package ca-certificates, name a file in SSL_CERT_FILE, or set \
                 `tls: {{ ca: FILE }}` for the server"
            );
        }
        if self.pingora.get() == Some(&false) {
            bail!(
                "{name} is called over https, but there were no certificates of authorities on this machine \
                 when this process started: it takes a new one (`tinyscale upgrade`, or a restart), or \
                 `tls: {{ ca: FILE }}` for the server"
            );
        }
        Ok(())
    }
}
