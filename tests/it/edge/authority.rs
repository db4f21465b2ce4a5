//! Somebody who makes certificates, and clients that trust nobody else.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tinyscale::config::settings::Listen;
use tinyscale::config::settings::edge::{CertificateFiles, ListenTls};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// It signs, and keeps what it made in a folder of its own.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pub(crate) folder: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority for tests");
        let key = KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), made.pem()).unwrap();
        Self { issuer: Issuer::new(params, key), der: made.der().clone(), folder }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub(crate) fn pem(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap()
    }

    /// What these names would be written with; may be changed before [`Self::write`].
    pub(crate) fn params(names: &[&str]) -> CertificateParams {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        let now = time::OffsetDateTime::now_utc();
        (params.not_before, params.not_after) =
            (now - time::Duration::days(1), now + time::Duration::days(90));
        params
    }

    /// Writes a certificate with its chain and its key as `name`.pem and `name`.key.
    pub(crate) fn write(&self, name: &str, params: &CertificateParams) -> CertificateFiles {
        let key = KeyPair::generate().unwrap();
        let made = params.signed_by(&key, &self.issuer).unwrap();
        let file = |end: &str| self.folder.path().join(format!("{name}.{end}"));
        std::fs::write(file("pem"), format!("{}{}", made.pem(), self.pem())).unwrap();
        std::fs::write(file("key"), key.serialize_pem()).unwrap();
        CertificateFiles { cert: file("pem"), key: file("key"), place: String::new() }
    }

    /// The same for `names`, good for three months.
    pub(crate) fn good(&self, name: &str, names: &[&str]) -> CertificateFiles {
        self.write(name, &Self::params(names))
    }

    /// What a client of these versions believes.
    pub(crate) fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

/// A listener with these certificates.
pub(crate) fn encrypted(certificates: Vec<CertificateFiles>) -> Listen {
    Listen {
        tls: Some(ListenTls { certificates, acme: None }),
        http2: true,
        ..Listen::plain(([127, 0, 0, 1], 0).into())
    }
}

/// Shakes hands with `address` as `name`.
pub(crate) async fn shake_hands(
    address: std::net::SocketAddr,
    name: &str,
    client: ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(client)).connect(name, stream).await
}
