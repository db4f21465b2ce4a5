//! Who sent a request: the address at the other end of the connection, or the one that a trusted proxy names.
//! Nobody else is believed, so that no client chooses the address that logs show and limits count.

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, HeaderName, header};
use pingora_proxy::Session;

use crate::config::settings::{ProxyHeader, TrustedProxies};

/// Hops of a request that are looked at, from the nearest one. More than any chain of proxies has.
const HOPS_MAX: usize = 32;

/// The other end of a request, as far as it can be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its address; that of this machine for a Unix socket. Never an IPv4 address in IPv6 form.
    pub address: IpAddr,
    /// Whether it used TLS, to here or to a trusted proxy.
    pub scheme: Scheme,
    /// The name that it called this service by, with the port if one was named: what it sent as Host, or
    /// told a trusted proxy.
    pub host: Option<String>,
}

/// What a URL begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Not encrypted.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// As in a URL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Who sent the request of `session`.
pub fn client(session: &Session, trusted: &TrustedProxies) -> Client {
    let peer = session.client_addr().and_then(|address| address.as_inet()).map(|inet| inet.ip());
    let tls = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
    let scheme = if tls { Scheme::Https } else { Scheme::Http };
    let request = session.req_header();
    // HTTP/2 has its host in the URI.
    let authority = request.uri.authority().map(|authority| authority.as_str());
    of(peer, scheme, authority, &request.headers, trusted)
}

/// The same, from the parts: the address of the connection (`None` for a Unix socket), how it came, the host
/// of an absolute URI, and the header.
pub fn of(
    peer: Option<IpAddr>,
    scheme: Scheme,
    authority: Option<&str>,
    headers: &HeaderMap,
    trusted: &TrustedProxies,
) -> Client {
    // Who may use the socket is on this machine.
    let peer = peer.unwrap_or(Ipv4Addr::LOCALHOST.into()).to_canonical();
    let host = authority.or(line(headers, &header::HOST)).map(str::to_owned);
    let direct = Client { address: peer, scheme, host };
    if !is_trusted(trusted, peer) {
        return direct;
    }
    let hops = match trusted.header {
        ProxyHeader::XForwardedFor => lists(headers, &X_FORWARDED_FOR).map(node).collect(),
        ProxyHeader::XRealIp => line(headers, &X_REAL_IP).map(node).into_iter().collect(),
        ProxyHeader::Forwarded => {
            let elements = lists(headers, &header::FORWARDED);
            elements.map(|hop| parameter(hop, "for").and_then(|text| node(&text))).collect()
        }
    };
    let address = nearest_untrusted(peer, hops, trusted);
    let (proto, named) = match trusted.header {
        ProxyHeader::Forwarded => {
            // Only the line of the trusted proxy itself, which is the last one.
            let last = lists(headers, &header::FORWARDED).next();
            (
                last.and_then(|hop| parameter(hop, "proto")),
                last.and_then(|hop| parameter(hop, "host")),
            )
        }
        ProxyHeader::XForwardedFor | ProxyHeader::XRealIp => {
            let last = |name| lists(headers, name).next().map(str::to_owned);
            (last(&X_FORWARDED_PROTO), last(&X_FORWARDED_HOST))
        }
    };
    let scheme = match proto.as_deref().map(str::to_ascii_lowercase).as_deref() {
        Some("https" | "wss") => Scheme::Https,
        Some("http" | "ws") => Scheme::Http,
        _ => direct.scheme,
    };
    Client { address, scheme, host: named.filter(|host| is_host(host)).or(direct.host) }
}

/// What proxies say about requests, in the words of most of them.
pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(crate) const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

fn is_trusted(trusted: &TrustedProxies, address: IpAddr) -> bool {
    trusted.networks.iter().any(|network| network.contains(&address))
}

/// Each trusted hop vouches for the one before it; the first that is not trusted is the client. One that
/// cannot be read ends the chain: nobody vouches for what stands before it.
fn nearest_untrusted(peer: IpAddr, hops: Vec<Option<IpAddr>>, trusted: &TrustedProxies) -> IpAddr {
    let mut nearest = peer;
    for hop in hops {
        let Some(hop) = hop else { return nearest };
        nearest = hop;
        if !is_trusted(trusted, hop) {
            break;
        }
    }
    nearest
}

/// The only value of a header; of several the last one, which the nearest proxy added.
fn line<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get_all(name).iter().next_back().and_then(|value| value.to_str().ok()).map(str::trim)
}

/// The entries of all lines of a list header, the last one first. A line that is no text counts as one entry
/// that nobody can read.
fn lists<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(name).iter().rev();
    lines.flat_map(|line| commas(line.to_str().unwrap_or("?")).into_iter().rev()).take(HOPS_MAX)
}

/// Splits at commas that are not in double quotes.
fn commas(line: &str) -> Vec<&str> {
    let mut quoted = false;
    let split = line.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    split.map(str::trim).collect()
}

/// The value of a parameter of one element of `Forwarded` (RFC 7239), without its quotes.
fn parameter(element: &str, wanted: &str) -> Option<String> {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
    let (_, value) = values.next()?;
    let value = value.trim();
    let unquoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    Some(unquoted.unwrap_or(value).to_owned())
}

/// An address with or without a port; `None` for words like `unknown`.
fn node(text: impl AsRef<str>) -> Option<IpAddr> {
    let text = text.as_ref().trim();
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(address, _)| address)?,
        None if text.matches(':').count() == 1 => text.split(':').next()?,
        None => text,
    };
    bare.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// Whether it can stand in a URL after the scheme, and nothing else can be hidden in it.
pub(crate) fn is_host(text: &str) -> bool {
    let usual = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    !text.is_empty() && text.len() <= 260 && text.chars().all(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusting(networks: &[&str], header: ProxyHeader) -> TrustedProxies {
        let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
        TrustedProxies { networks, header }
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[track_caller]
    fn check(peer: &str, lines: &[(&'static str, &str)], header: ProxyHeader, expected: &str) {
        let trusted = trusting(&["10.0.0.0/8", "fd00::/8"], header);
        let peer = Some(peer.parse().unwrap());
        let client = of(peer, Scheme::Http, None, &headers(lines), &trusted);
        assert_eq!(client.address.to_string(), expected, "{lines:?}");
    }

    const XFF: &str = "x-forwarded-for";

    #[test]
    fn nobody_else_is_believed() {
        let lines = [(XFF, "1.1.1.1"), ("forwarded", "for=2.2.2.2"), ("x-real-ip", "3.3.3.3")];
        for header in [ProxyHeader::XForwardedFor, ProxyHeader::Forwarded, ProxyHeader::XRealIp] {
            check("192.0.2.1", &lines, header, "192.0.2.1");
            check("::ffff:192.0.2.1", &lines, header, "192.0.2.1");
        }
        check("10.0.0.1", &lines, ProxyHeader::XForwardedFor, "1.1.1.1");
        check("10.0.0.1", &lines, ProxyHeader::Forwarded, "2.2.2.2");
        check("10.0.0.1", &lines, ProxyHeader::XRealIp, "3.3.3.3");
        check("::ffff:10.0.0.1", &lines, ProxyHeader::XForwardedFor, "1.1.1.1");
    }

    #[test]
    fn the_last_hop_that_is_not_trusted_is_the_client() {
        let header = ProxyHeader::XForwardedFor;
        check("10.0.0.1", &[(XFF, "6.6.6.6, 7.7.7.7, 10.9.9.9")], header, "7.7.7.7");
        check("10.0.0.1", &[(XFF, "6.6.6.6"), (XFF, "7.7.7.7")], header, "7.7.7.7");
        check("10.0.0.1", &[(XFF, "10.1.1.1, 10.2.2.2")], header, "10.1.1.1");
        check("10.0.0.1", &[], header, "10.0.0.1");
        check("10.0.0.1", &[(XFF, "7.7.7.7:4711")], header, "7.7.7.7");
        check("10.0.0.1", &[(XFF, "[2001:db8::7]:4711")], header, "2001:db8::7");
        check("fd00::1", &[(XFF, "2001:db8::7")], header, "2001:db8::7");
        check("10.0.0.1", &[(XFF, "::ffff:7.7.7.7")], header, "7.7.7.7");
    }

    #[test]
    fn what_cannot_be_read_ends_the_chain() {
        let header = ProxyHeader::XForwardedFor;
        check("10.0.0.1", &[(XFF, "6.6.6.6, unknown, 10.9.9.9")], header, "10.9.9.9");
        check("10.0.0.1", &[(XFF, "6.6.6.6, ")], header, "10.0.0.1");
        check("10.0.0.1", &[(XFF, "6.6.6.6, 1.2.3")], header, "10.0.0.1");
        check("10.0.0.1", &[(XFF, "6.6.6.6, caf\u{e9}")], header, "10.0.0.1");
        let many = vec!["10.2.2.2"; HOPS_MAX + 1].join(",");
        check("10.0.0.1", &[(XFF, &format!("6.6.6.6,{many}"))], header, "10.2.2.2");
    }

    #[test]
    fn rfc_7239() {
        let header = ProxyHeader::Forwarded;
        let line = "for=6.6.6.6, For=\"[2001:db8::7]:4711\";proto=https;by=10.0.0.9";
        check("10.0.0.1", &[("forwarded", line)], header, "2001:db8::7");
        check("10.0.0.1", &[("forwarded", "for=6.6.6.6, for=_hidden")], header, "10.0.0.1");
        check("10.0.0.1", &[("forwarded", "for=6.6.6.6, proto=https")], header, "10.0.0.1");
        check("10.0.0.1", &[("forwarded", "for=\"a,b\";for=6.6.6.6")], header, "10.0.0.1");
    }

    #[test]
    fn a_trusted_proxy_says_how_the_client_came() {
        let trusted = trusting(&["10.0.0.0/8"], ProxyHeader::XForwardedFor);
        let lines = [
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "bbb.example.org"),
            ("host", "x"),
        ];
        let from = |peer: &str, lines: &[(&'static str, &str)], trusted| {
            of(Some(peer.parse().unwrap()), Scheme::Http, None, &headers(lines), trusted)
        };
        let client = from("10.0.0.1", &lines, &trusted);
        assert_eq!(
            (client.scheme, client.host.as_deref()),
            (Scheme::Https, Some("bbb.example.org"))
        );
        let client = from("192.0.2.1", &lines, &trusted);
        assert_eq!((client.scheme, client.host.as_deref()), (Scheme::Http, Some("x")));
        let hidden = [("x-forwarded-host", "a/b"), ("x-forwarded-proto", "gopher"), ("host", "x")];
        let client = from("10.0.0.1", &hidden, &trusted);
        assert_eq!((client.scheme, client.host.as_deref()), (Scheme::Http, Some("x")));
        let trusted = trusting(&["10.0.0.0/8"], ProxyHeader::Forwarded);
        let line = [("forwarded", "proto=http;host=y, for=1.1.1.1;Proto=https;host=\"z:8443\"")];
        let client = from("10.0.0.1", &line, &trusted);
        assert_eq!((client.scheme, client.host.as_deref()), (Scheme::Https, Some("z:8443")));
    }

    #[test]
    fn a_unix_socket_is_this_machine() {
        let trusted = trusting(&["127.0.0.0/8"], ProxyHeader::XForwardedFor);
        let lines = headers(&[(XFF, "7.7.7.7")]);
        assert_eq!(of(None, Scheme::Http, None, &lines, &trusted).address.to_string(), "7.7.7.7");
        let nobody = trusting(&[], ProxyHeader::XForwardedFor);
        assert_eq!(of(None, Scheme::Http, None, &lines, &nobody).address.to_string(), "127.0.0.1");
    }
}
