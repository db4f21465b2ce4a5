//! The addresses of servers: resolved in the background, read by everybody who connects. No request ever
//! waits for DNS; a name that was not resolved yet has no address, and that is the answer.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

/// Names and what they resolve to.
#[derive(Debug, Default)]
pub struct Addresses {
    by_name: ArcSwap<HashMap<String, Arc<[IpAddr]>>>,
    generation: AtomicU64,
}

impl Addresses {
    /// The addresses of `host`, the preferred first; an address is its own. Empty: not known (yet).
    pub fn of(&self, host: &str) -> Arc<[IpAddr]> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return [address].into();
        }
        self.by_name.load().get(host).cloned().unwrap_or_default()
    }

    /// Changes with every change of an address, so that what was built from addresses can be kept as long
    /// as it stays the same.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// `host` now resolves to `addresses`. True if that is news. An empty answer changes nothing: a name
    /// server in trouble must not take servers away.
    pub fn learn(&self, host: &str, addresses: &[IpAddr]) -> bool {
        let known = self.of(host);
        let same = known.len() == addresses.len() && addresses.iter().all(|a| known.contains(a));
        if addresses.is_empty() || same {
            return false;
        }
        self.by_name.rcu(|by_name| {
            let mut by_name = HashMap::clone(by_name);
            by_name.insert(host.to_owned(), addresses.into());
            by_name
        });
        self.generation.fetch_add(1, Ordering::AcqRel);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_are_their_own() {
        let addresses = Addresses::default();
        assert_eq!(addresses.of("::1")[..], [ip("::1")]);
        assert!(addresses.of("bbb1.test").is_empty());
    }

    #[test]
    fn only_news_counts() {
        let addresses = Addresses::default();
        assert!(addresses.learn("h", &[ip("10.0.0.1"), ip("10.0.0.2")]));
        assert!(!addresses.learn("h", &[ip("10.0.0.2"), ip("10.0.0.1")]));
        assert!(!addresses.learn("h", &[]));
        assert_eq!(addresses.generation(), 1);
        assert!(addresses.learn("h", &[ip("10.0.0.3")]));
        assert_eq!(addresses.of("h")[..], [ip("10.0.0.3")]);
        assert_eq!(addresses.generation(), 2);
    }
}
