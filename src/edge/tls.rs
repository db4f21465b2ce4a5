//! TLS for listeners: versions 1.2 and 1.3 with the cipher suites of Mozilla's "intermediate" list, which is what
//! rustls has anyway.

use std::sync::Arc;

use anyhow::Context;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::version::{TLS12, TLS13};

use crate::edge::certificates::{ACME_TLS, Certificates};

/// What a listener needs to shake hands.
pub fn server(certificates: Arc<Certificates>, http2: bool) -> anyhow::Result<Arc<ServerConfig>> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .context("TLS cannot be used")?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(certificates);
    let h2 = http2.then(|| b"h2".to_vec());
    config.alpn_protocols =
        h2.into_iter().chain([b"http/1.1".to_vec(), ACME_TLS.to_vec()]).collect();
    // Clients that come back need no new handshake, whichever connection they had before.
    config.ticketer = ring::Ticketer::new().context("TLS cannot be used")?;
    Ok(Arc::new(config))
}
