//! `trusted_proxies` as written.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::config::document::{Fields, Node, Value};
use crate::config::file::Reader;
use crate::config::problem::Located;
use crate::config::settings::edge::ProxyHeader;

/// What the top level says about how requests arrive.
#[derive(Debug, Default)]
pub(crate) struct EdgeFile {
    pub(crate) trusted_proxies: Option<Located<Vec<IpNet>>>,
    pub(crate) client_header: Option<Located<ProxyHeader>>,
    pub(crate) security_headers: Option<Located<bool>>,
    pub(crate) hsts_days: Option<Located<u32>>,
}

/// Ten years; browsers take what they are told.
const HSTS_DAYS_MAX: u32 = 3650;

impl Reader<'_> {
    pub(super) fn edge(&mut self, top: &Fields<'_>) -> EdgeFile {
        let trusted = top.get("trusted_proxies");
        EdgeFile {
            trusted_proxies: trusted.and_then(|node| self.networks_in(node, "trusted_proxies")),
            client_header: top.get("client_header").and_then(|node| self.client_header(node)),
            security_headers: top.get("security_headers").and_then(|node| {
                let value = node.flag("security_headers", self.problems)?;
                Some(Located { value, place: node.place.clone() })
            }),
            hsts_days: top.get("hsts_days").and_then(|node| {
                let value = node.whole("hsts_days", 0..=HSTS_DAYS_MAX, self.problems)?;
                Some(Located { value, place: node.place.clone() })
            }),
        }
    }

    /// A list of networks under `key`.
    pub(super) fn networks_in(&mut self, node: &Node, key: &str) -> Option<Located<Vec<IpNet>>> {
        let place = node.place.clone();
        if matches!(&node.value, Value::List(list) if list.is_empty()) {
            return Some(Located { value: Vec::new(), place });
        }
        let example = format!("{key}: [10.0.0.0/8, \"2001:db8::/32\"]");
        let list = node.list(key, &example, self.problems)?;
        let networks = list.iter().filter_map(|entry| self.network(entry, key));
        Some(Located { value: networks.collect(), place })
    }

    fn network(&mut self, node: &Node, key: &str) -> Option<IpNet> {
        let text = node.text(key, self.problems)?.trim();
        let parsed = text.parse::<IpNet>().ok().or_else(|| {
            let address = text.parse::<IpAddr>().ok()?;
            Some(IpNet::from(address))
        });
        let Some(network) = parsed else {
            let what = format!("an entry of `{key}` is not an IP address or a network");
            self.problems.add(
                &node.place,
                what,
                "an address like 192.0.2.7, or a network like 10.0.0.0/8",
            );
            return None;
        };
        if network.addr() != network.network() {
            // 10.0.0.1/8 is all of 10.*, which who writes a whole address may not have meant.
            let what = format!("an entry of `{key}` has digits behind the end of its network");
            self.problems.add(
                &node.place,
                what,
                format!("{}, or {}", network.trunc(), network.addr()),
            );
            return None;
        }
        Some(network)
    }

    pub(super) fn client_header(&mut self, node: &Node) -> Option<Located<ProxyHeader>> {
        let text = node.text("client_header", self.problems)?;
        let header = ProxyHeader::of_name(text.trim());
        if header.is_none() {
            let names = ProxyHeader::ALL.map(ProxyHeader::name).join(", ");
            let what = "`client_header` is not one that tinyscale reads";
            self.problems.add(&node.place, what, format!("one of {names}"));
        }
        Some(Located { value: header?, place: node.place.clone() })
    }
}
