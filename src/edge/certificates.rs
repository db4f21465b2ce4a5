//! The certificates that TLS listeners show: which one for which name, and how a new one takes the place of an
//! old one while connections come and go.
//!
//! A certificate is used after it was checked, or not at all; a bad new one never takes the place of a good
//! old one. There is never a certificate that nobody asked for: without one the handshake is refused.

pub mod files;
mod names;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::config::settings::edge::CertificateFiles;
use crate::edge::certificates::files::{BadCertificate, Certificate};
use crate::edge::certificates::names::Names;

/// The protocol in which an ACME server asks for proof (RFC 8737).
pub const ACME_TLS: &[u8] = b"acme-tls/1";
/// Names that may be proven at the same time.
const CHALLENGES_MAX: usize = 100;

/// Where a certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The operator put it there. Not to have it is a mistake.
    Operator(CertificateFiles),
    /// It is ordered by `acme`, and there may be none yet.
    Ordered(CertificateFiles),
}

impl Origin {
    fn files(&self) -> &CertificateFiles {
        match self {
            Self::Operator(files) | Self::Ordered(files) => files,
        }
    }
}

/// All certificates of the process.
pub struct Certificates {
    sources: Mutex<Vec<Source>>,
    names: ArcSwap<Names>,
    challenges: Mutex<Vec<(String, Arc<CertifiedKey>)>>,
}

/// A certificate's files and what came of them.
struct Source {
    origin: Origin,
    used: Option<Arc<Certificate>>,
    /// What the files held when they were last looked at, and whether that was reported.
    seen: Option<(u64, Seen)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Fine,
    /// Bad, which may be because only one of the two files was written yet.
    BadOnce,
    /// Bad, and said so.
    Reported,
}

/// What came of looking at the files again.
#[derive(Debug)]
pub enum Change {
    /// This one is used from now on.
    Used(Arc<Certificate>),
    /// This cannot be used; what was used before still is.
    Refused(BadCertificate),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Used(certificate) => write!(f, "a new certificate is used; {certificate}"),
            Self::Refused(why) => {
                write!(f, "a new certificate is not used, the one before stays: {why}")
            }
        }
    }
}

/// How patient a look at the files is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Somebody says that they are complete.
    Asked,
    /// Of its own accord: they may be half written.
    Routine,
}

impl Certificates {
    /// Reads all of them. Any that cannot be used is an error; all errors are told.
    pub fn load(origins: Vec<Origin>, now_s: u64) -> Result<Self, Vec<BadCertificate>> {
        let sources = origins.into_iter().map(|origin| Source { origin, used: None, seen: None });
        let certificates = Self {
            sources: Mutex::new(sources.collect()),
            names: ArcSwap::default(),
            challenges: Mutex::default(),
        };
        let changes = certificates.look(Look::Asked, now_s);
        let bad = changes.into_iter().filter_map(|change| match change {
            Change::Refused(why) => Some(why),
            Change::Used(_) => None,
        });
        let bad: Vec<_> = bad.collect();
        if bad.is_empty() { Ok(certificates) } else { Err(bad) }
    }

    /// Looks whether files have changed, and uses what is new and good. `now_s`: seconds since 1970.
    pub fn look(&self, look: Look, now_s: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut sources = self.sources.lock();
        for source in sources.iter_mut() {
            changes.extend(source.look(look, now_s));
        }
        if changes.iter().any(|change| matches!(change, Change::Used(_))) {
            let used = sources.iter().filter_map(|source| source.used.as_ref());
            self.names.store(Arc::new(Names::of(used.map(|used| used.as_ref()))));
        }
        changes
    }

    /// Those in use, in the order of the configuration.
    pub fn used(&self) -> Vec<Arc<Certificate>> {
        self.sources.lock().iter().filter_map(|source| source.used.clone()).collect()
    }

    /// The one in use that came from these files.
    pub fn of(&self, files: &CertificateFiles) -> Option<Arc<Certificate>> {
        let sources = self.sources.lock();
        let source = sources.iter().find(|source| source.origin.files().cert == files.cert)?;
        source.used.clone()
    }

    /// Shows `key` to an ACME server that asks for proof of `name`, until [`Self::proven`].
    pub fn prove(&self, name: &str, key: Arc<CertifiedKey>) {
        let mut challenges = self.challenges.lock();
        challenges.retain(|(known, _)| known != name);
        if challenges.len() < CHALLENGES_MAX {
            challenges.push((name.to_owned(), key));
        }
    }

    /// No more proof of `name` is needed.
    pub fn proven(&self, name: &str) {
        self.challenges.lock().retain(|(known, _)| known != name);
    }
}

impl Source {
    fn look(&mut self, look: Look, now_s: u64) -> Option<Change> {
        let files = self.origin.files();
        let read = files::read(files);
        let print = files::fingerprint(&read);
        let seen = self.seen.filter(|(known, _)| *known == print).map(|(_, seen)| seen);
        if matches!(seen, Some(Seen::Fine)) || seen == Some(Seen::Reported) && look == Look::Routine
        {
            return None;
        }
        let checked = read
            .and_then(|read| files::check(files, &read))
            .and_then(|new| new.no_worse_than(self.used.as_deref(), now_s));
        match checked {
            Ok(new) => {
                self.seen = Some((print, Seen::Fine));
                let new = Arc::new(new);
                self.used = Some(new.clone());
                Some(Change::Used(new))
            }
            // There is none yet, or one that another order replaces.
            Err(_) if matches!(self.origin, Origin::Ordered(_)) => {
                self.seen = Some((print, Seen::Reported));
                None
            }
            Err(_) if look == Look::Routine && seen.is_none() => {
                self.seen = Some((print, Seen::BadOnce));
                None
            }
            Err(why) => {
                self.seen = Some((print, Seen::Reported));
                Some(Change::Refused(why))
            }
        }
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificates")
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        if hello.alpn().is_some_and(|mut offered| offered.any(|protocol| protocol == ACME_TLS)) {
            let challenges = self.challenges.lock();
            let (_, key) = challenges.iter().find(|(known, _)| Some(known) == name.as_ref())?;
            return Some(key.clone());
        }
        let names = self.names.load();
        let choices = names.choices(name.as_deref());
        let usable =
            |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        // One that the client cannot use makes rustls say why.
        choices.iter().find(usable).or(choices.first()).cloned()
    }
}
