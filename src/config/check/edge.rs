//! How requests arrive: from what was written to what is used.

use std::time::Duration;

use crate::config::check::Check;
use crate::config::file::edge::EdgeFile;
use crate::config::settings::edge::{SecurityHeaders, TrustedProxies};

impl Check<'_> {
    pub(super) fn trusted_proxies(
        &mut self,
        file: &mut EdgeFile,
        env: &mut EdgeFile,
    ) -> TrustedProxies {
        let networks = self.either(file.trusted_proxies.take(), env.trusted_proxies.take());
        let header_place = [&file.client_header, &env.client_header].into_iter().flatten().next();
        let header_place = header_place.map(|header| header.place.clone());
        let header = self.either(file.client_header.take(), env.client_header.take());
        if let (None, Some(place)) = (&networks, &header_place) {
            let what =
                "`client_header` is of no use without `trusted_proxies`: nobody's word is taken";
            self.problems.add(place, what, "`trusted_proxies` too, or neither");
        }
        TrustedProxies {
            networks: networks.unwrap_or_default(),
            header: header.unwrap_or_default(),
        }
    }

    pub(super) fn security_headers(
        &mut self,
        file: &mut EdgeFile,
        env: &mut EdgeFile,
    ) -> SecurityHeaders {
        let default = SecurityHeaders::default();
        let enabled = self.either(file.security_headers.take(), env.security_headers.take());
        let days = self.either(file.hsts_days.take(), env.hsts_days.take());
        SecurityHeaders {
            enabled: enabled.unwrap_or(default.enabled),
            hsts: days
                .map_or(default.hsts, |days| Duration::from_secs(u64::from(days) * 24 * 60 * 60)),
        }
    }
}
