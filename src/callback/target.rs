//! Which addresses callbacks may be sent to. Front ends choose the URLs and tinyscale calls them from inside
//! the operator's network (`scalelite.md` 5), so every address is looked at before it is connected to: those
//! a name resolves to, and those written into a URL.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whose an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Anybody's on the Internet.
    Public,
    /// Of the operator's own network: RFC 1918, RFC 6598, unique local.
    Private,
    /// This machine.
    Loopback,
    /// Nobody's to call: link-local, metadata of clouds, multicast, unspecified, reserved.
    Never,
}

/// Which networks may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Networks {
    /// [`Network::Public`]
    pub public: bool,
    /// [`Network::Private`]
    pub private: bool,
    /// [`Network::Loopback`]
    pub loopback: bool,
}

impl Default for Networks {
    fn default() -> Self {
        Self { public: true, private: true, loopback: false }
    }
}

impl Networks {
    /// Whether `address` may be called.
    pub fn allow(self, address: IpAddr) -> bool {
        match Network::of(address) {
            Network::Public => self.public,
            Network::Private => self.private,
            Network::Loopback => self.loopback,
            Network::Never => false,
        }
    }
}

impl Network {
    /// The network that `address` belongs to; what carries an IPv4 address inside belongs to that one's.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => Self::of_v6(v6),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        match address.octets() {
            // Where clouds tell machines their secrets: Alibaba, Azure; Oracle's lies in 192.0.0.0/24.
            [100, 100, 100, 200] | [168, 63, 129, 16] => Self::Never,
            [127, ..] => Self::Loopback,
            [10, ..] | [192, 168, ..] | [172, 16..=31, ..] | [100, 64..=127, ..] => Self::Private,
            // This network, link-local, protocol assignments, documentation, 6to4 relays, benchmarks.
            [0, ..]
            | [169, 254, ..]
            | [192, 0, 0 | 2, _]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            | [192, 88, 99, _]
            | [198, 18 | 19, ..] => Self::Never,
            // Multicast, reserved, broadcast.
            [224..=255, ..] => Self::Never,
            [_, _, _, _] => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let inside = |high: u16, low: u16| {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Self::of_v4(Ipv4Addr::new(a, b, c, d))
        };
        match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::Loopback,
            // IPv4-mapped, NAT64, 6to4.
            [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                inside(high, low)
            }
            [0x2002, high, low, ..] => inside(high, low),
            // Metadata of Amazon's cloud, in the middle of what is private.
            [0xfd00, 0xec2, ..] => Self::Never,
            [0xfc00..=0xfdff, ..] => Self::Private,
            // Teredo, documentation, and protocol assignments around them.
            [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Self::Never,
            [0x2000..=0x3fff, ..] => Self::Public,
            // Unspecified, link-local, site-local, multicast, and all that nobody has been given.
            [_, ..] => Self::Never,
        }
    }
}

/// Whether `url` is one that can be called at all: http or https, with a host and without a password.
pub fn is_callable(url: &str) -> bool {
    let Ok(parsed) = url.parse::<http::Uri>() else { return false };
    let http = parsed.scheme_str().is_some_and(|scheme| scheme == "http" || scheme == "https");
    let host = parsed
        .authority()
        .is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
    http && host && !url.contains(|c: char| c.is_control() || c == ' ')
}

/// Host and port of `url`, to share the work fairly between receivers and to tell them apart in logs.
pub fn authority(url: &str) -> String {
    let uri = url.parse::<http::Uri>().ok();
    uri.and_then(|uri| Some(uri.authority()?.as_str().to_ascii_lowercase())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(network: Network, addresses: &[&str]) {
        for address in addresses {
            assert_eq!(Network::of(address.parse().unwrap()), network, "{address}");
        }
    }

    #[test]
    fn every_address_belongs_somewhere() {
        check(
            Network::Public,
            &["1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "223.255.255.1"],
        );
        check(Network::Public, &["2606:4700::1", "2a00::1", "2001:4860::8888"]);
        check(Network::Private, &["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"]);
        check(Network::Private, &["100.64.0.1", "100.127.255.255", "fc00::1", "fd12:3456::1"]);
        check(Network::Loopback, &["127.0.0.1", "127.255.1.2", "::1"]);
        check(Network::Never, &["0.0.0.0", "0.1.2.3", "169.254.169.254", "192.0.0.192"]);
        check(Network::Never, &["224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1"]);
        check(Network::Never, &["198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1"]);
        check(Network::Never, &["100.100.100.200", "168.63.129.16", "fd00:ec2::254"]);
        check(Network::Never, &["::", "fe80::1", "febf::1", "fec0::1", "ff02::1", "100::1"]);
        check(Network::Never, &["2001:db8::1", "2001::1", "3fff::1", "4000::1", "64:ff9b:1::1"]);
    }

    #[test]
    fn an_address_within_an_address_is_seen() {
        for (outside, inside) in [
            ("::ffff:127.0.0.1", Network::Loopback),
            ("::ffff:10.0.0.1", Network::Private),
            ("::ffff:169.254.169.254", Network::Never),
            ("::ffff:8.8.8.8", Network::Public),
            ("64:ff9b::a9fe:a9fe", Network::Never),
            ("64:ff9b::7f00:1", Network::Loopback),
            ("64:ff9b::808:808", Network::Public),
            ("2002:7f00:1::", Network::Loopback),
            ("2002:a9fe:a9fe::1", Network::Never),
            ("::127.0.0.1", Network::Never),
            ("::ffff:0:127.0.0.1", Network::Never),
        ] {
            check(inside, &[outside]);
        }
    }

    #[test]
    fn what_is_allowed_is_what_was_said() {
        let allowed = |networks: Networks| {
            ["8.8.8.8", "10.0.0.1", "127.0.0.1", "169.254.169.254"]
                .map(|address| networks.allow(address.parse().unwrap()))
        };
        assert_eq!(allowed(Networks::default()), [true, true, false, false]);
        let all = Networks { public: true, private: true, loopback: true };
        assert_eq!(allowed(all), [true, true, true, false]);
        let none = Networks { public: false, private: false, loopback: false };
        assert_eq!(allowed(none), [false; 4]);
    }

    #[test]
    fn only_http_urls_can_be_called() {
        for good in ["https://a.test", "HTTP://a.test:8080/x?y=%24%2F", "http://[::1]/"] {
            assert!(is_callable(good), "{good}");
        }
        for bad in [
            "",
            "/x",
            "ftp://a.test/",
            "file:///etc",
            "https://",
            "http://u:p@a.test/",
            "a b",
            "gopher:x",
        ] {
            assert!(!is_callable(bad), "{bad}");
        }
        assert_eq!(authority("http://A.test:8080/x"), "a.test:8080");
    }
}
