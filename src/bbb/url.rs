//! Where a server's API lives. Parses what operators write (with or without `/bigbluebutton/api`, with or
//! without a trailing slash) into one form; refuses what cannot be called.

use std::fmt;
use std::net::Ipv6Addr;

/// The base URL of one server's API: scheme, host, port and the path before the call's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiUrl {
    /// Whether the server is called over TLS.
    pub https: bool,
    /// Host name or address as in a Host header: IPv6 in brackets, lower case.
    pub host: String,
    /// The port, 80 or 443 when none was written.
    pub port: u16,
    /// Path of the API without a trailing slash, e.g. `/bigbluebutton/api`.
    pub path: String,
}

/// Why a text is no API URL; reads as the end of a sentence that starts with the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// Not a URL at all.
    #[error("is not a URL; write it like https://bbb1.example.org/bigbluebutton/api")]
    Malformed,
    /// No scheme, or one that is not HTTP.
    #[error("does not start with http:// or https://")]
    Scheme,
    /// A user name or password before the host.
    #[error("holds a user name or password; BBB servers take only the shared secret")]
    UserInfo,
    /// Something after the path.
    #[error("ends in a query or fragment; give only the server's address")]
    Query,
}

const API: &str = "/bigbluebutton/api";

impl ApiUrl {
    /// Parses `text`; white space around it is ignored.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        let text = text.trim();
        let lower = text.to_ascii_lowercase();
        if !lower.starts_with("http://") && !lower.starts_with("https://") {
            return Err(BadUrl::Scheme);
        }
        if text.contains(['?', '#']) {
            return Err(BadUrl::Query);
        }
        let uri: http::Uri = text.parse().map_err(|_| BadUrl::Malformed)?;
        let authority = uri.authority().ok_or(BadUrl::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(BadUrl::UserInfo);
        }
        let https = uri.scheme_str() == Some("https");
        let host = authority.host().to_ascii_lowercase();
        // `http` accepts "host:" and a port beyond 65535, which then shows as no port at all.
        let written_port = authority.as_str().len() > authority.host().len();
        let port = match (authority.port_u16(), written_port) {
            (Some(0), _) | (None, true) => return Err(BadUrl::Malformed),
            (Some(port), _) => port,
            (None, false) => default_port(https),
        };
        if !is_host(&host) {
            return Err(BadUrl::Malformed);
        }
        Ok(Self { https, host, port, path: api_path(uri.path()) })
    }

    /// The value of a Host header: the port only if it is not the scheme's own.
    pub fn authority(&self) -> String {
        if self.port == default_port(self.https) {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The host without the brackets of an IPv6 address: for name look-ups and TLS server names.
    pub fn bare_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// A name for the server when none was given: the host, and the port if it is an unusual one.
    pub fn default_name(&self) -> String {
        let host = self.bare_host().replace(':', "-");
        if self.port == default_port(self.https) { host } else { format!("{host}-{}", self.port) }
    }

    /// Path and query of a call: `query` is sent exactly as given.
    pub fn target(&self, call: &str, query: &str) -> String {
        if query.is_empty() {
            format!("{}/{call}", self.path)
        } else {
            format!("{}/{call}?{query}", self.path)
        }
    }
}

impl fmt::Display for ApiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

/// Whether `host` is a name or an address that can be looked up and written into a URL; `http` lets more
/// through.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            !host.is_empty() && host.bytes().all(allowed)
        }
    }
}

fn api_path(path: &str) -> String {
    let path = path.trim_end_matches('/');
    if path.ends_with(API) {
        path.to_owned()
    } else if let Some(prefix) = path.strip_suffix("/bigbluebutton") {
        format!("{prefix}{API}")
    } else {
        format!("{path}{API}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, shown: &str, name: &str) {
        let url = ApiUrl::parse(text).unwrap();
        assert_eq!(url.to_string(), shown, "{text}");
        assert_eq!(url.default_name(), name, "{text}");
    }

    #[test]
    fn every_usual_spelling_is_one_url() {
        let shown = "http://bbb1.schule.de/bigbluebutton/api";
        for text in [
            "http://bbb1.schule.de",
            "http://bbb1.schule.de/",
            "http://bbb1.schule.de/bigbluebutton",
            "http://bbb1.schule.de/bigbluebutton/",
            "http://bbb1.schule.de/bigbluebutton/api",
            "http://bbb1.schule.de/bigbluebutton/api/",
            "http://bbb1.schule.de:80/bigbluebutton/api//",
            " HTTP://BBB1.schule.de ",
        ] {
            check(text, shown, "bbb1.schule.de");
        }
    }

    #[test]
    fn ports_prefixes_and_addresses_are_kept() {
        check("https://h:8443", "https://h:8443/bigbluebutton/api", "h-8443");
        check("https://h/t1", "https://h/t1/bigbluebutton/api", "h");
        check("http://[::1]:8090", "http://[::1]:8090/bigbluebutton/api", "--1-8090");
    }

    #[test]
    fn what_cannot_be_called_is_refused() {
        for (text, expected) in [
            ("bbb1.schule.de", BadUrl::Scheme),
            ("ftp://h", BadUrl::Scheme),
            ("", BadUrl::Scheme),
            ("http://", BadUrl::Malformed),
            ("http://h:99999", BadUrl::Malformed),
            ("http://h:0", BadUrl::Malformed),
            ("http://a b", BadUrl::Malformed),
            ("http://1a[:]:8", BadUrl::Malformed),
            ("http://[::g]", BadUrl::Malformed),
            ("http://a%20b", BadUrl::Malformed),
            ("http://u:p@h", BadUrl::UserInfo),
            ("http://h/bigbluebutton/api?x=1", BadUrl::Query),
            ("http://h/#top", BadUrl::Query),
        ] {
            assert_eq!(ApiUrl::parse(text), Err(expected), "{text}");
        }
    }
}
