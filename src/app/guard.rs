//! The limits that the guard gets.

use crate::config::settings::Settings;
use crate::config::settings::traffic::AbuseSettings;

/// As configured. A trusted proxy is many clients: what counts is whom it names, and its own connections are not
/// counted.
pub(super) fn limits(settings: &Settings) -> AbuseSettings {
    let mut limits = settings.abuse.clone();
    limits.exempt.extend(&settings.trusted_proxies.networks);
    limits
}
