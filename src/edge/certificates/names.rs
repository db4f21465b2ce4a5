//! Which certificate for which name.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::sign::CertifiedKey;

use crate::edge::certificates::files::Certificate;

/// The certificates by the names they are for, in lower case. Several for one name differ in the kind of key.
#[derive(Debug, Default)]
pub(super) struct Names {
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// `*.example.org` stands here as `example.org`.
    wildcards: HashMap<String, Vec<Arc<CertifiedKey>>>,
    first: Vec<Arc<CertifiedKey>>,
}

impl Names {
    /// The first one is shown to clients that ask for no name, or for one that none is for: they tell their
    /// people better than a refused handshake would.
    pub(super) fn of<'c>(certificates: impl Iterator<Item = &'c Certificate>) -> Self {
        let mut names = Self::default();
        for certificate in certificates {
            for name in &certificate.names {
                let keys = match name.strip_prefix("*.") {
                    Some(domain) => names.wildcards.entry(domain.to_owned()),
                    None => names.exact.entry(name.clone()),
                };
                keys.or_default().push(certificate.key.clone());
            }
            if names.first.is_empty() {
                names.first.push(certificate.key.clone());
            }
        }
        names
    }

    /// The candidates for a name in lower case, best first. A wildcard is for one label only.
    pub(super) fn choices(&self, name: Option<&str>) -> &[Arc<CertifiedKey>] {
        let name = name.map(|name| name.strip_suffix('.').unwrap_or(name));
        let exact = name.and_then(|name| self.exact.get(name));
        let wildcard = name.and_then(|name| name.split_once('.'));
        let wildcard = wildcard.and_then(|(_, domain)| self.wildcards.get(domain));
        exact.or(wildcard).unwrap_or(&self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::certificates::files::samples::certificate;

    #[test]
    fn the_most_exact_name_wins() {
        let known = [
            certificate(&["first.test"]),
            certificate(&["*.example.org", "example.org"]),
            certificate(&["bbb.example.org"]),
        ];
        let names = Names::of(known.iter());
        for (name, expected) in [
            (Some("first.test"), 0),
            (Some("example.org"), 1),
            (Some("x.example.org"), 1),
            (Some("x.example.org."), 1),
            (Some("bbb.example.org"), 2),
            (Some("a.bbb.example.org"), 0),
            (Some("org"), 0),
            (Some("elsewhere.test"), 0),
            (None, 0),
        ] {
            let [chosen] = names.choices(name) else { panic!("{name:?}") };
            assert!(Arc::ptr_eq(chosen, &known[expected].key), "{name:?}");
        }
        assert!(Names::default().choices(Some("a.test")).is_empty());
    }
}
