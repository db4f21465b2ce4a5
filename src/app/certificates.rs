//! The certificates of the configuration, from the start on: all of them good, or no start.

use std::time::Duration;

use anyhow::anyhow;
use tokio::time::MissedTickBehavior;

use crate::app::App;
use crate::clock;
use crate::config::settings::Settings;
use crate::edge::certificates::files::Certificate;
use crate::edge::certificates::{Certificates, Change, Look, Origin};

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
    Certificates::load(origins, clock::unix_s()).map_err(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        anyhow!("{}", lines.join("\n"))
    })
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
        match change {
            Change::Used(certificate) => {
                log::info!("a new certificate is used; {certificate}");
                if let Some(warning) = certificate.warning(clock::unix_s()) {
                    log::warn!("{warning}");
                }
            }
            Change::Refused(why) => {
                log::error!("a new certificate is not used, the one before stays: {why}");
            }
        }
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
