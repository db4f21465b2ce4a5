//! How certificates of servers are checked, and what to tell an operator whose certificate fails. The checks
//! of our own calls; those of forwarded calls are Pingora's, fed with the same certificates.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

/// The certificates in the PEM file `file`, each one usable as an authority.
pub fn authorities(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let shown = file.display();
    let pem = std::fs::read(file).with_context(|| format!("cannot read {shown}"))?;
    let mut store = RootCertStore::empty();
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.with_context(|| format!("{shown} is not a PEM file"))?;
        // Checked here, because Pingora panics on what it cannot read.
        store
            .add(certificate.clone())
            .with_context(|| format!("{shown} holds a certificate that cannot be read"))?;
        certificates.push(certificate);
    }
    if certificates.is_empty() {
        bail!("{shown} holds no certificate");
    }
    Ok(certificates)
}

/// A handshake that accepts servers whose certificate leads to one of `roots`.
pub(crate) fn checked(roots: RootCertStore) -> anyhow::Result<ClientConfig> {
    Ok(versions()?.with_root_certificates(roots).with_no_client_auth())
}

/// A handshake that accepts any certificate.
pub(crate) fn unchecked() -> anyhow::Result<ClientConfig> {
    let check = Arc::new(NoCheck(provider()));
    Ok(versions()?.dangerous().with_custom_certificate_verifier(check).with_no_client_auth())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn versions() -> anyhow::Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .context("cannot set up TLS")
}

/// What is wrong, as the end of "TLS: ".
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "new kinds come with rustls and bring their words"
)]
pub(crate) fn explain(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(why) = error else { return error.to_string() };
    let why = match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet; is the clock of this machine right?".to_owned()
        }
        CertificateError::NotValidForName => "is for another name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names = presented.join(", ");
            format!("is for another name than {}; it is for {names}", expected.to_str())
        }
        CertificateError::UnknownIssuer => {
            "comes from an authority that is not trusted here; `tls: { ca: FILE }` names another"
                .to_owned()
        }
        CertificateError::Revoked => "was revoked".to_owned(),
        other => format!("is not accepted: {other}"),
    };
    format!("the certificate {why}")
}

/// Checks that the server has the key of the certificate it shows, and nothing about the certificate.
#[derive(Debug)]
struct NoCheck(Arc<CryptoProvider>);

impl ServerCertVerifier for NoCheck {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
