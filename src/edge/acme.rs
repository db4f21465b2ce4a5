//! Certificates that are ordered from an ACME server (RFC 8555), and ordered again in time. One task per
//! certificate; one order at a time, also if another process shares the folder. Whatever goes wrong, the certificate
//! in use stays, and the next try is never far.

mod order;
pub mod proofs;
mod schedule;
mod storage;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use instant_acme::{CertificateIdentifier, HttpClient};

use crate::clock;
use crate::config::settings::edge::{AcmeSettings, CertificateFiles};
use crate::edge::acme::proofs::Proofs;
use crate::edge::acme::schedule::Schedule;
use crate::edge::certificates::files::Certificate;
use crate::edge::certificates::{Certificates, Look};

pub use crate::edge::acme::storage::{files, folder};

/// How often a waiting task looks whether something has changed: another process may have ordered.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How often the server is asked when it wants a certificate renewed (RFC 9773, 4.3).
const ASK_EVERY_S: u64 = 6 * 60 * 60;

/// How orders ended since the start.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// With a certificate.
    pub good: AtomicU64,
    /// Without one.
    pub bad: AtomicU64,
}

/// Makes a client for the ACME server; anew for each order, because a connection may have gone bad.
pub type Connect = Arc<dyn Fn(Option<&Path>) -> anyhow::Result<Box<dyn HttpClient>> + Send + Sync>;

/// Keeps one certificate in order.
pub struct Keeper {
    /// What is ordered, and where.
    pub settings: AcmeSettings,
    /// Where it is kept.
    pub files: CertificateFiles,
    /// Where it is used.
    pub certificates: Arc<Certificates>,
    /// Where proofs are shown.
    pub proofs: Arc<Proofs>,
    /// Whether an ACME server can reach this process by plain HTTP, as far as the configuration tells.
    pub has_plain_http: bool,
    /// How it is reached.
    pub connect: Connect,
    /// How orders ended.
    pub outcomes: Arc<Outcomes>,
}

impl Keeper {
    /// Orders whenever it is time. Never ends.
    pub async fn run(self) {
        let mut schedule = Schedule::new(self.settings.first_retry, jitter());
        loop {
            let current = self.certificates.of(&self.files);
            let valid_s = current.as_ref().filter(|used| self.is_for_all(used)).map(|c| c.valid_s);
            let now_s = clock::unix_s();
            let wait = schedule.wait(valid_s, now_s);
            if !wait.is_zero() {
                tokio::time::sleep(wait.min(LOOK_EVERY)).await;
                if schedule.asks_at_s().is_some_and(|at_s| clock::unix_s() >= at_s) {
                    let window = self.window(current.as_deref()).await;
                    schedule.advised(window, clock::unix_s() + ASK_EVERY_S, jitter());
                }
                continue;
            }
            let lock = match storage::lock(&self.files) {
                Ok(Some(lock)) => lock,
                // Another process is at it.
                Ok(None) => {
                    tokio::time::sleep(self.settings.first_retry.min(LOOK_EVERY)).await;
                    self.look();
                    continue;
                }
                Err(why) => {
                    self.failed(&mut schedule, &why);
                    continue;
                }
            };
            // It may just have finished.
            if self.look() {
                continue;
            }
            self.order(&mut schedule, current.as_deref(), lock).await;
        }
    }

    async fn order(&self, schedule: &mut Schedule, current: Option<&Certificate>, lock: File) {
        log::info!("ordering a certificate; domains={}", self.settings.domains.join(","));
        let replaces = current.and_then(identifier);
        let ordered = order::order(self, schedule.failures(), replaces).await;
        match ordered.and_then(|pem| storage::keep(&self.files, &pem)) {
            Ok(()) => {
                self.outcomes.good.fetch_add(1, Ordering::Relaxed);
                self.look();
                schedule.succeeded(clock::unix_s(), jitter());
            }
            Err(why) => self.failed(schedule, &why),
        }
        drop(lock);
    }

    fn failed(&self, schedule: &mut Schedule, why: &anyhow::Error) {
        self.outcomes.bad.fetch_add(1, Ordering::Relaxed);
        let now_s = clock::unix_s();
        let used = self.certificates.of(&self.files);
        let until_s = used.as_ref().map(|used| used.valid_s.1);
        let again = schedule.failed(until_s, now_s, jitter());
        let domains = self.settings.domains.join(",");
        let meanwhile = match until_s {
            None => "there is none yet, so HTTPS is refused".to_owned(),
            Some(until_s) if until_s <= now_s => "the one in use has expired".to_owned(),
            Some(until_s) => {
                let date = crate::edge::certificates::files::date(until_s);
                format!("the one in use is valid until {date}")
            }
        };
        log::error!(
            "a certificate could not be ordered; domains={domains} again_in={}s: {meanwhile}; {why:#}",
            again.as_secs()
        );
    }

    /// Whether there is another certificate than before.
    fn look(&self) -> bool {
        let before = self.certificates.of(&self.files).map(|used| used.valid_s);
        for change in self.certificates.look(Look::Asked, clock::unix_s()) {
            log::info!("{change}");
        }
        let after = self.certificates.of(&self.files).map(|used| used.valid_s);
        after != before && after.is_some()
    }

    fn is_for_all(&self, used: &Certificate) -> bool {
        self.settings.domains.iter().all(|domain| used.names.contains(domain))
    }

    /// When the server wants the certificate renewed, if it says so.
    async fn window(&self, current: Option<&Certificate>) -> Option<(u64, u64)> {
        let identifier = identifier(current?)?;
        let account = order::account(self).await.ok()?;
        let (info, _) = account.renewal_info(&identifier).await.ok()?;
        let seconds = |time: i64| u64::try_from(time).ok();
        let window = info.suggested_window;
        Some((seconds(window.start.unix_timestamp())?, seconds(window.end.unix_timestamp())?))
    }
}

fn identifier(certificate: &Certificate) -> Option<CertificateIdentifier<'static>> {
    let own = certificate.key.cert.first()?;
    CertificateIdentifier::try_from(own).ok().map(CertificateIdentifier::into_owned)
}

/// A number from 0 up to 1, different each time, so that not everybody comes at the same moment.
fn jitter() -> f64 {
    use ring::rand::{SecureRandom, SystemRandom};
    let mut bytes = [0; 4];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}
