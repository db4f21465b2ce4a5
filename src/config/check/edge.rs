//! How requests arrive: from what was written to what is used.

use crate::config::check::Check;
use crate::config::file::edge::EdgeFile;
use crate::config::settings::edge::TrustedProxies;

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
}
