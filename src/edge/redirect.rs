//! From http to https: which requests are sent there, and where exactly that is.

use std::borrow::Cow;

use crate::config::settings::edge::{Address, Listen, Redirect};
use crate::edge::client::{Client, Scheme, is_host};

const HTTPS_PORT: u16 = 443;

/// Where https is found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Secure {
    /// Host and port, if operators said so.
    public: Option<String>,
    port: Option<u16>,
}

impl Secure {
    /// As the configuration has it: at `public_url` for its host, else at the port of the first listener with
    /// TLS.
    pub fn of(listen: &[Listen], public_url: Option<&str>) -> Self {
        let public = public_url.and_then(|url| url.strip_prefix("https://"));
        let port = listen.iter().filter(|listen| listen.tls.is_some()).find_map(|listen| {
            match &listen.address {
                Address::Ip(address) => Some(address.port()),
                Address::Unix(_) => None,
            }
        });
        Self { public: public.map(str::to_owned), port }
    }

    /// The URL that a request is sent to, if it is. `target`: its path and query.
    pub fn redirect(
        &self,
        redirect: Redirect,
        client: &Client,
        target: &str,
        is_api: bool,
    ) -> Option<String> {
        let wanted = match redirect {
            Redirect::Off => false,
            Redirect::All => true,
            Redirect::Browsers => !is_api,
        };
        if !wanted || client.scheme == Scheme::Https || !target.starts_with('/') {
            return None;
        }
        Some(format!("https://{}{target}", self.authority(client)?))
    }

    fn authority(&self, client: &Client) -> Option<Cow<'_, str>> {
        let asked = client.host.as_deref().filter(|host| is_host(host)).map(without_port);
        let public = self.public.as_deref();
        match (asked, public) {
            (None, public) => public.map(Cow::Borrowed),
            (Some(asked), Some(public)) if asked.eq_ignore_ascii_case(without_port(public)) => {
                Some(Cow::Borrowed(public))
            }
            (Some(asked), _) => Some(match self.port {
                None | Some(HTTPS_PORT) => Cow::Owned(asked.to_owned()),
                Some(port) => Cow::Owned(format!("{asked}:{port}")),
            }),
        }
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !host.is_empty() => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(host: &str) -> Client {
        let address = "192.0.2.7".parse().unwrap();
        Client { address, scheme: Scheme::Http, host: Some(host.to_owned()) }
    }

    fn secure(port: u16, public: Option<&str>) -> Secure {
        Secure { public: public.map(str::to_owned), port: Some(port) }
    }

    #[track_caller]
    fn check(secure: &Secure, host: &str, expected: &str) {
        let location = secure.redirect(Redirect::All, &client(host), "/a?b=%20c", false);
        assert_eq!(location.as_deref(), Some(expected), "{host}");
    }

    #[test]
    fn the_host_stays_and_the_port_is_that_of_https() {
        let usual = secure(443, None);
        check(&usual, "bbb.test", "https://bbb.test/a?b=%20c");
        check(&usual, "bbb.test:80", "https://bbb.test/a?b=%20c");
        check(&usual, "[::1]:80", "https://[::1]/a?b=%20c");
        check(&usual, "[::1]", "https://[::1]/a?b=%20c");
        check(&secure(8443, None), "bbb.test:8080", "https://bbb.test:8443/a?b=%20c");
        let public = secure(8443, Some("bbb.test"));
        check(&public, "BBB.test:8080", "https://bbb.test/a?b=%20c");
        check(&public, "other.test", "https://other.test:8443/a?b=%20c");
        check(&public, "evil/../", "https://bbb.test/a?b=%20c");
        let nowhere = secure(443, None);
        assert_eq!(nowhere.redirect(Redirect::All, &client("a\"b"), "/", false), None);
    }

    #[test]
    fn who_is_sent() {
        let secure = secure(443, None);
        let mut client = client("bbb.test");
        let sent = |redirect, client: &Client, is_api| {
            secure.redirect(redirect, client, "/", is_api).is_some()
        };
        assert!(!sent(Redirect::Off, &client, false));
        assert!(sent(Redirect::All, &client, true));
        assert!(sent(Redirect::Browsers, &client, false));
        assert!(!sent(Redirect::Browsers, &client, true));
        client.scheme = Scheme::Https;
        assert!(!sent(Redirect::All, &client, false));
        client.scheme = Scheme::Http;
        assert_eq!(secure.redirect(Redirect::All, &client, "*", false), None);
    }
}
