//! The authorities that this machine trusts. Read before Pingora reads them: it panics if it cannot.

use anyhow::bail;
use pingora_core::tls::load_platform_certs_incl_env_into_store;
use rustls::RootCertStore;

use crate::config::settings::{ServerSettings, TlsCheck};

/// Holds no certificate, which is what Pingora is given if it needs none.
const NO_CERTIFICATES: &str = "/dev/null";

/// The machine's certificate store, as far as it is needed.
pub(crate) struct Trust {
    pub(crate) system: RootCertStore,
    /// What Pingora reads instead of the machine's store; `None` to read that.
    pub(crate) pingora_file: Option<String>,
}

impl Trust {
    /// Reads the store if one of `servers` needs it. Then it must be there and hold something.
    pub(crate) fn load(servers: &[ServerSettings]) -> anyhow::Result<Self> {
        let mut system = RootCertStore::empty();
        let asking = servers.iter().find(|server| {
            // Pingora wants a store even for a server whose certificate it does not check.
            server.spec.url.https && !matches!(server.tls, TlsCheck::Ca(_))
        });
        let Some(asking) = asking else {
            return Ok(Self { system, pingora_file: Some(NO_CERTIFICATES.to_owned()) });
        };
        let loaded = load_platform_certs_incl_env_into_store(&mut system);
        let why = match loaded {
            Ok(()) if !system.is_empty() => return Ok(Self { system, pingora_file: None }),
            Ok(()) => "there is none".to_owned(),
            Err(error) => error.to_string(),
        };
        bail!(
            "{} is called over https, but the certificates of authorities on this machine cannot be \
             used: {why}; install the package ca-certificates, name a file in SSL_CERT_FILE, or set \
             `tls: {{ ca: FILE }}` for the server",
            asking.spec.name
        );
    }
}
