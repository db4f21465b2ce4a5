//! The ways to all servers: addresses, secrets, and how certificates are checked. Shared by all clients, and
//! replaced as a whole when servers come, change or go; calls under way end as they began.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

use crate::client::tls;
use crate::cluster::server::{ServerId, ServerSpec};
use crate::config::settings::{ServerSettings, TlsCheck};

/// The way to one server.
pub(crate) struct Line {
    pub(crate) spec: Arc<ServerSpec>,
    /// The same one for as long as certificates are checked in the same way.
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) connect_timeout: Duration,
}

/// The ways to all servers.
#[derive(Default)]
pub struct Lines(ArcSwap<Ways>);

/// Those of one configuration.
#[derive(Default)]
pub struct Ways {
    by_server: HashMap<ServerId, Arc<Line>>,
    /// Shared by all servers that are checked in the same way: each holds a certificate store.
    checks: HashMap<TlsCheck, Checked>,
}

#[derive(Clone)]
struct Checked {
    /// The certificates of a `ca` file.
    roots: Arc<[CertificateDer<'static>]>,
    tls: Arc<ClientConfig>,
}

impl Lines {
    /// The ways to `servers`. `system` are the authorities that this machine trusts. Fails only if a CA file
    /// cannot be read, and changes nothing before [`Self::put`].
    pub fn ways<'s>(
        &self,
        servers: impl IntoIterator<Item = (ServerId, &'s ServerSettings)>,
        connect_timeout: Duration,
        system: &RootCertStore,
    ) -> anyhow::Result<Ways> {
        let known = self.0.load();
        let mut ways = Ways::default();
        for (id, server) in servers {
            let tls = match ways.checks.get(&server.tls) {
                Some(checked) => checked.tls.clone(),
                None => {
                    let checked = checked(&server.tls, system, known.checks.get(&server.tls))?;
                    ways.checks.entry(server.tls.clone()).or_insert(checked).tls.clone()
                }
            };
            let spec = Arc::new(server.spec.clone());
            ways.by_server.insert(id, Arc::new(Line { spec, tls, connect_timeout }));
        }
        Ok(ways)
    }

    /// Takes `ways` from now on.
    pub fn put(&self, ways: Ways) {
        self.0.store(Arc::new(ways));
    }

    pub(crate) fn to(&self, server: ServerId) -> Option<Arc<Line>> {
        self.0.load().by_server.get(&server).cloned()
    }
}

fn checked(
    check: &TlsCheck,
    system: &RootCertStore,
    before: Option<&Checked>,
) -> anyhow::Result<Checked> {
    let (roots, config): (Arc<[_]>, _) = match (check, before) {
        (TlsCheck::Ca(file), before) => {
            let roots: Arc<[_]> = tls::authorities(file)?.into();
            // Connections need not be made anew for a file that says the same as before.
            if let Some(before) = before.filter(|before| before.roots == roots) {
                return Ok(before.clone());
            }
            let config = tls::checked(store(file, &roots)?)?;
            (roots, config)
        }
        // The machine's authorities are read once.
        (TlsCheck::System | TlsCheck::Skip, Some(before)) => return Ok(before.clone()),
        (TlsCheck::System, None) => (Arc::default(), tls::checked(system.clone())?),
        (TlsCheck::Skip, None) => (Arc::default(), tls::unchecked()?),
    };
    Ok(Checked { roots, tls: Arc::new(config) })
}

fn store(file: &Path, roots: &[CertificateDer<'static>]) -> anyhow::Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).with_context(|| format!("{} cannot be used", file.display()))?;
    }
    Ok(store)
}
