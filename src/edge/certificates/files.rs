//! A certificate and its key, as files: read, and checked before anything uses them. Says what is wrong in the
//! words of somebody who has to put it right; nothing of a key gets into a message.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use crate::config::settings::edge::CertificateFiles;

/// A chain takes some 10 KB.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Certificates of a chain; TLS clients take about ten.
const CHAIN_MAX: usize = 16;
const DAY_S: u64 = 24 * 60 * 60;
/// So long before its end operators are warned.
pub const WARNED_BEFORE_S: u64 = 14 * DAY_S;

/// A checked certificate with its key.
#[derive(Debug)]
pub struct Certificate {
    /// The file it came from.
    pub path: PathBuf,
    /// The host names it is for, in lower case, `*.example.org` among them.
    pub names: Vec<String>,
    /// When it begins and ends to be valid, in seconds since 1970.
    pub valid_s: (u64, u64),
    /// Whether clients will find no way from it to an authority, as far as that can be told from here.
    pub chain: Chain,
    /// What TLS needs of it.
    pub key: Arc<CertifiedKey>,
}

/// What follows the server's own certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chain {
    /// Certificates of authorities.
    Complete,
    /// Nothing, though it was made by somebody else.
    Missing,
    /// Nothing: it was signed with its own key.
    SelfSigned,
}

/// Why a certificate cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the sentences say it")]
pub enum BadCertificate {
    #[error("{place}there is no file {path}")]
    Missing { place: String, path: String },
    #[error("{place}{path} cannot be read: {why}")]
    Unreadable { place: String, path: String, why: String },
    #[error(
        "{place}{path} holds no certificate: it must have lines with -----BEGIN CERTIFICATE-----"
    )]
    NoCertificate { place: String, path: String },
    #[error(
        "{place}{path} holds no private key: it must have a line like -----BEGIN PRIVATE KEY-----, and no password"
    )]
    NoKey { place: String, path: String },
    #[error(
        "{place}the certificate in {path} cannot be understood (certificate {number} of the file)"
    )]
    Garbled { place: String, path: String, number: usize },
    #[error(
        "{place}the key in {key} is of a kind that TLS cannot use here; RSA of 2048 bits or more, ECDSA P-256 or P-384, and Ed25519 can be"
    )]
    KeyKind { place: String, key: String },
    #[error("{place}the key in {key} does not belong to the certificate in {cert}")]
    Mismatch { place: String, key: String, cert: String },
    #[error(
        "{place}certificate {number} in {path} did not make the one before it: the server's own certificate must stand first, then the one that made it, and so on"
    )]
    Order { place: String, path: String, number: usize },
    #[error(
        "{place}{path} names no host: clients have no use for a certificate without DNS names (subjectAltName)"
    )]
    NoNames { place: String, path: String },
    #[error(
        "{place}the certificate in {path} is not valid before {date}; the one before it still is"
    )]
    NotYet { place: String, path: String, date: String },
    #[error(
        "{place}the certificate in {path} is not valid since {date}; the one before it still is"
    )]
    Expired { place: String, path: String, date: String },
}

/// What the two files hold.
pub(super) struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
}

/// `file:line:column: `, if it was written in a file.
fn place(files: &CertificateFiles) -> String {
    match files.place.as_str() {
        "" => String::new(),
        place => format!("{place}: "),
    }
}

pub(super) fn read(files: &CertificateFiles) -> Result<Contents, BadCertificate> {
    let cert = read_one(files, &files.cert)?;
    let key = if files.key == files.cert { cert.clone() } else { read_one(files, &files.key)? };
    Ok(Contents { cert, key })
}

fn read_one(files: &CertificateFiles, path: &Path) -> Result<Vec<u8>, BadCertificate> {
    let mut bytes = Vec::new();
    let (place, shown) = (place(files), path.display().to_string());
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > FILE_BYTES_MAX => {
            let why = "it is larger than 1 MiB".to_owned();
            Err(BadCertificate::Unreadable { place, path: shown, why })
        }
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(BadCertificate::Missing { place, path: shown })
        }
        Err(error) => {
            let denied = error.kind() == ErrorKind::PermissionDenied;
            let why = if denied {
                "the user tinyscale runs as may not".to_owned()
            } else {
                error.to_string()
            };
            Err(BadCertificate::Unreadable { place, path: shown, why })
        }
    }
}

/// Differs if what was read differs.
pub(super) fn fingerprint(read: &Result<Contents, BadCertificate>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match read {
        Ok(Contents { cert, key }) => (cert, key).hash(&mut hasher),
        Err(why) => why.to_string().hash(&mut hasher),
    }
    hasher.finish()
}

/// Makes a certificate of the files' contents, if it is one.
pub(super) fn check(
    files: &CertificateFiles,
    contents: &Contents,
) -> Result<Certificate, BadCertificate> {
    let shown = |path: &Path| path.display().to_string();
    let (place, path, key_path) = (place(files), shown(&files.cert), shown(&files.key));
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(&contents.cert).take(CHAIN_MAX).collect();
    let chain = chain.unwrap_or_default();
    if chain.is_empty() {
        return Err(BadCertificate::NoCertificate { place, path });
    }
    let key = PrivateKeyDer::from_pem_slice(&contents.key)
        .map_err(|_| BadCertificate::NoKey { place: place.clone(), path: key_path.clone() })?;
    let parsed: Vec<X509Certificate<'_>> = chain
        .iter()
        .zip(1..)
        .map(|(der, number)| match X509Certificate::from_der(der) {
            Ok((_, certificate)) => Ok(certificate),
            Err(_) => {
                Err(BadCertificate::Garbled { place: place.clone(), path: path.clone(), number })
            }
        })
        .collect::<Result<_, _>>()?;
    let Some(own) = parsed.first() else {
        return Err(BadCertificate::NoCertificate { place, path });
    };
    let key = rustls::crypto::ring::sign::any_supported_type(&key)
        .map_err(|_| BadCertificate::KeyKind { place: place.clone(), key: key_path.clone() })?;
    let certified = CertifiedKey::new(chain.clone(), key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(_) => return Err(BadCertificate::Mismatch { place, key: key_path, cert: path }),
    }
    for (number, pair) in (2..).zip(parsed.windows(2)) {
        if let [made, maker] = pair
            && (made.issuer() != maker.subject()
                || made.verify_signature(Some(maker.public_key())).is_err())
        {
            return Err(BadCertificate::Order { place, path, number });
        }
    }
    let names = dns_names(own);
    if names.is_empty() {
        return Err(BadCertificate::NoNames { place, path });
    }
    let seconds = |time: ASN1Time| u64::try_from(time.timestamp()).unwrap_or(0);
    let valid_s = (seconds(own.validity().not_before), seconds(own.validity().not_after));
    let chain = match parsed.len() {
        1 if own.issuer() == own.subject() => Chain::SelfSigned,
        1 => Chain::Missing,
        _ => Chain::Complete,
    };
    let key = Arc::new(certified);
    Ok(Certificate { path: files.cert.clone(), names, valid_s, chain, key })
}

fn dns_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let names = &names.value.general_names;
    let dns = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(_)
        | GeneralName::OtherName(..)
        | GeneralName::RFC822Name(_)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::URI(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => None,
    });
    let dns: Vec<String> = dns.collect();
    // Clients name no address; it is shown to those that name nothing.
    let has_address = names.iter().any(|name| matches!(name, GeneralName::IPAddress(_)));
    if dns.is_empty() && has_address { vec![String::new()] } else { dns }
}

impl Certificate {
    /// Itself, unless it cannot be used at this time and `old` can.
    pub(super) fn no_worse_than(
        self,
        old: Option<&Self>,
        now_s: u64,
    ) -> Result<Self, BadCertificate> {
        let (from_s, until_s) = self.valid_s;
        let path = self.path.display().to_string();
        let place = String::new();
        match old {
            Some(old) if old.is_valid(now_s) && now_s >= until_s => {
                Err(BadCertificate::Expired { place, path, date: date(until_s) })
            }
            Some(old) if old.is_valid(now_s) && now_s < from_s => {
                Err(BadCertificate::NotYet { place, path, date: date(from_s) })
            }
            _ => Ok(self),
        }
    }

    fn is_valid(&self, now_s: u64) -> bool {
        let (from_s, until_s) = self.valid_s;
        (from_s..until_s).contains(&now_s)
    }

    /// What an operator should know of it, if anything.
    pub fn warning(&self, now_s: u64) -> Option<String> {
        let (from_s, until_s) = self.valid_s;
        let path = self.path.display();
        if now_s >= until_s {
            return Some(format!("the certificate in {path} has expired on {}", date(until_s)));
        }
        if now_s < from_s {
            return Some(format!("the certificate in {path} is not valid before {}", date(from_s)));
        }
        // Of a short-lived certificate the last part of its life counts.
        let warned_before_s = WARNED_BEFORE_S.min((until_s - from_s) / 4);
        if until_s - now_s < warned_before_s {
            let days = (until_s - now_s) / DAY_S;
            return Some(format!(
                "the certificate in {path} expires on {}, in {days} days",
                date(until_s)
            ));
        }
        (self.chain == Chain::Missing).then(|| {
            format!(
                "{path} holds only the server's own certificate: most clients need those of the \
                 authorities that made it, too, behind it in the same file (certbot calls that \
                 fullchain.pem)"
            )
        })
    }
}

impl std::fmt::Display for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.names.iter().filter(|name| !name.is_empty()).cloned();
        let names = names.collect::<Vec<_>>().join(", ");
        write!(f, "{names}: {}, valid until {}", self.path.display(), date(self.valid_s.1))
    }
}

/// As `2026-11-28`, in UTC.
pub fn date(unix_s: u64) -> String {
    let time = i64::try_from(unix_s).ok().and_then(|time| ASN1Time::from_timestamp(time).ok());
    let Some(time) = time else { return "never".to_owned() };
    let time = time.to_datetime();
    format!("{}-{:02}-{:02}", time.year(), u8::from(time.month()), time.day())
}

#[cfg(test)]
pub(super) mod samples {
    use super::*;

    /// A certificate for these names, valid now, signed by itself.
    pub(crate) fn certificate(names: &[&str]) -> Certificate {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let files = CertificateFiles {
            cert: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
            place: String::new(),
        };
        std::fs::write(&files.cert, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        check(&files, &read(&files).unwrap()).unwrap()
    }
}
