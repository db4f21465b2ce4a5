//! The certificates of the configuration, from the start on: all of them good, or no start.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use tokio::time::MissedTickBehavior;

use crate::app::App;
use crate::config::settings::edge::{AcmeSettings, CertificateFiles};
use crate::config::settings::{Address, Listen, Settings};
use crate::edge::acme;
use crate::edge::acme::proofs::Proofs;
use crate::edge::certificates::files::Certificate;
use crate::edge::certificates::{Certificates, Change, Look, Origin};
use crate::{client, clock};

/// How long it takes at most until a file that was changed is noticed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Reads the certificates that `settings` name. All mistakes are told at once.
pub(super) fn load(settings: &Settings) -> anyhow::Result<Certificates> {
    let mut origins: Vec<Origin> = Vec::new();
    for tls in settings.listen.iter().filter_map(|listen| listen.tls.as_ref()) {
        for files in &tls.certificates {
            let known = origins.iter().any(|origin| match origin {
                Origin::Operator(known) => known.cert == files.cert && known.key == files.key,
                Origin::Ordered(_) => false,
            });
            if !known {
                origins.push(Origin::Operator(files.clone()));
            }
        }
    }
    origins.extend(ordered(settings).map(|(_, files)| Origin::Ordered(files)));
    Certificates::load(origins, clock::unix_s()).map_err(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        anyhow!("{}", lines.join("\n"))
    })
}

/// What is ordered, each only once, and where it is kept.
fn ordered(settings: &Settings) -> impl Iterator<Item = (AcmeSettings, CertificateFiles)> {
    let mut orders: Vec<(AcmeSettings, CertificateFiles)> = Vec::new();
    for tls in settings.listen.iter().filter_map(|listen| listen.tls.as_ref()) {
        // The configuration has no `acme` without a `state_dir`.
        let Some((acme, state_dir)) = tls.acme.as_ref().zip(settings.state_dir.as_ref()) else {
            continue;
        };
        let files = acme::files(acme, state_dir);
        if orders.iter().all(|(_, known)| known.cert != files.cert) {
            orders.push((acme.clone(), files));
        }
    }
    orders.into_iter()
}

/// Where the proofs for orders are shown.
pub(super) fn proofs(settings: &Settings) -> Proofs {
    let folder = settings.state_dir.as_ref().map(|folder| acme::folder(folder).join("proofs"));
    Proofs::new(folder.filter(|_| ordered(settings).next().is_some()))
}

/// A certificate as an operator sees it: a line about it, and what is to be worried about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateReport {
    /// Names, file, and until when it is valid.
    pub line: String,
    /// A warning, if there is reason for one.
    pub warning: Option<String>,
}

impl App {
    /// What is known of the certificates in use.
    pub fn certificate_reports(&self) -> Vec<CertificateReport> {
        let now_s = clock::unix_s();
        let report = |certificate: &Certificate| CertificateReport {
            line: certificate.to_string(),
            warning: certificate.warning(now_s),
        };
        self.certificates.used().iter().map(|certificate| report(certificate)).collect()
    }

    /// Looks at the certificates' files now, because somebody says that they are new.
    pub fn look_at_certificates(&self) {
        look(&self.certificates, Look::Asked);
    }
}

fn look(certificates: &Certificates, look: Look) {
    for change in certificates.look(look, clock::unix_s()) {
        match &change {
            Change::Used(certificate) => {
                log::info!("{change}");
                if let Some(warning) = certificate.warning(clock::unix_s()) {
                    log::warn!("{warning}");
                }
            }
            Change::Refused(_) => log::error!("{change}"),
        }
    }
}

impl App {
    /// Those who order certificates.
    pub(super) fn certificate_keepers(&self) -> Vec<acme::Keeper> {
        let settings = self.settings();
        let trust = self.trust.clone();
        let connect: acme::Connect = Arc::new(move |ca| match ca {
            Some(file) => client::acme::http_trusting(file),
            None => client::acme::http(trust.authorities()?),
        });
        let is_plain =
            |listen: &Listen| listen.tls.is_none() && matches!(listen.address, Address::Ip(_));
        let has_plain_http = settings.listen.iter().any(is_plain);
        let keeper = |(acme, files)| acme::Keeper {
            settings: acme,
            files,
            certificates: self.certificates.clone(),
            proofs: self.proofs.clone(),
            has_plain_http,
            connect: connect.clone(),
            outcomes: self.acme_outcomes.clone(),
        };
        ordered(&settings).map(keeper).collect()
    }

    /// How orders of certificates ended since the start.
    pub fn acme_outcomes(&self) -> &acme::Outcomes {
        &self.acme_outcomes
    }
}

/// Notices new certificates in the files, as long as it is let.
pub(super) async fn keep_looking(certificates: &Certificates) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        look(certificates, Look::Routine);
    }
}

/// Sees to it that there are certificates, as long as it is let.
pub(super) async fn keep_ordering(keepers: Vec<acme::Keeper>) {
    futures::future::join_all(keepers.into_iter().map(acme::Keeper::run)).await;
    std::future::pending().await
}
