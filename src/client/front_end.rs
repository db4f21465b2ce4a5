//! Calls to front ends, at URLs that they chose themselves: the only place that makes any. Calls only addresses
//! that may be called, looked at on every connection, and reads nothing of an answer but its status.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderName, header};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect;
use rustls::RootCertStore;

use crate::callback::target::Networks;
use crate::client::tls;

/// One call, end to end.
const DEADLINE: Duration = Duration::from_secs(20);
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// As many as servers of 2.x follow.
const REDIRECTS_MAX: usize = 5;

/// Calls front ends. Cheap to clone; belongs to the runtime that first uses it.
#[derive(Clone)]
pub struct FrontEnds {
    /// For GET: follows redirects, as servers do.
    get: reqwest::Client,
    post: reqwest::Client,
    networks: Arc<ArcSwap<Networks>>,
}

/// A request to a front end.
#[derive(Debug, Clone)]
pub struct Message<'m> {
    /// The front end's URL.
    pub url: &'m str,
    /// The header of that name, if it is not empty.
    pub user_agent: &'m str,
    /// The header of that name, if it is not empty.
    pub content_type: &'m str,
    /// The header of that name, if it is not empty.
    pub authorization: &'m str,
    /// The body of a POST; `None` is a GET.
    pub body: Option<Bytes>,
    /// How many redirects of a POST are followed; those of a GET always are.
    pub post_redirects: usize,
}

impl FrontEnds {
    /// Calls only `networks`, and over TLS only who leads to one of `authorities`.
    pub fn new(networks: Networks, authorities: RootCertStore) -> anyhow::Result<Self> {
        let networks = Arc::new(ArcSwap::from_pointee(networks));
        let allowed = networks.clone();
        let redirects = redirect::Policy::custom(move |attempt| {
            let may_follow = attempt.previous().len() <= REDIRECTS_MAX
                && may_call(attempt.url(), **allowed.load()).is_ok();
            if may_follow { attempt.follow() } else { attempt.stop() }
        });
        let tls = tls::checked(authorities)?;
        let build = |policy| {
            reqwest::Client::builder()
                .redirect(policy)
                .referer(false)
                .no_proxy()
                .tls_backend_preconfigured(tls.clone())
                .dns_resolver(Arc::new(Allowed(networks.clone())))
                .connect_timeout(CONNECT_DEADLINE)
                .timeout(DEADLINE)
                .pool_idle_timeout(Duration::from_secs(30))
                .pool_max_idle_per_host(2)
                .build()
                .context("cannot set up TLS for callbacks")
        };
        Ok(Self { get: build(redirects)?, post: build(redirect::Policy::none())?, networks })
    }

    /// Calls only `networks` from now on.
    pub fn allow(&self, networks: Networks) {
        if **self.networks.load() != networks {
            self.networks.store(Arc::new(networks));
        }
    }

    /// The status of the answer, or why there was none, in words without the URL.
    pub async fn send(&self, message: Message<'_>) -> Result<u16, String> {
        let url: reqwest::Url = message.url.parse().map_err(|_| "not a URL".to_owned())?;
        let following = self.follow(url, message);
        tokio::time::timeout(DEADLINE, following)
            .await
            .unwrap_or_else(|_| Err("no answer in time".to_owned()))
    }

    /// Sends it to `url` and wherever that leads. A POST stays a POST with its body: what it says would be lost
    /// in a GET, and receivers that moved to https redirect with 301.
    async fn follow(&self, mut url: reqwest::Url, mut message: Message<'_>) -> Result<u16, String> {
        for left in (0..=message.post_redirects).rev() {
            may_call(&url, **self.networks.load())?;
            let mut request = match &message.body {
                Some(body) => self.post.post(url.clone()).body(body.clone()),
                None => self.get.get(url.clone()),
            };
            let headers: [(HeaderName, &str); 3] = [
                (header::USER_AGENT, message.user_agent),
                (header::CONTENT_TYPE, message.content_type),
                (header::AUTHORIZATION, message.authorization),
            ];
            for (name, value) in headers.into_iter().filter(|(_, value)| !value.is_empty()) {
                request = request.header(name, value);
            }
            let answer = request.send().await.map_err(|error| why(&error))?;
            let status = answer.status().as_u16();
            let moved = left > 0 && matches!(status, 301 | 302 | 307 | 308);
            let location = answer.headers().get(header::LOCATION);
            let Some(to) = location.filter(|_| moved).and_then(|to| to.to_str().ok()) else {
                return Ok(status);
            };
            let to = url.join(to).map_err(|_| "redirected to what is no URL".to_owned())?;
            if url.scheme() == "https" && to.scheme() != "https" {
                return Err("redirected to where everybody could read along".to_owned());
            }
            // The token is for the one who was asked for.
            if to.origin() != url.origin() && to.host() != url.host() {
                message.authorization = "";
            }
            url = to;
        }
        // The last round returns.
        Err("redirected too often".to_owned())
    }
}

/// Looks at a URL whose host is an address; names are looked at by [`Allowed`] when they are resolved.
fn may_call(url: &reqwest::Url, networks: Networks) -> Result<(), &'static str> {
    if !["http", "https"].contains(&url.scheme()) {
        return Err("neither http nor https");
    }
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match literal {
        Ok(address) if !networks.allow(address) => Err(NOT_ALLOWED),
        Ok(_) | Err(_) => Ok(()),
    }
}

const NOT_ALLOWED: &str = "its address is not in callbacks.networks";

/// Resolves names to those of their addresses that may be called.
struct Allowed(Arc<ArcSwap<Networks>>);

#[derive(Debug, thiserror::Error)]
#[error("{NOT_ALLOWED}")]
struct NotAllowed;

impl Resolve for Allowed {
    fn resolve(&self, name: Name) -> Resolving {
        let networks = **self.0.load();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> =
                found.filter(|address| networks.allow(address.ip())).collect();
            if allowed.is_empty() {
                return Err(NotAllowed.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// What went wrong, without the URL: some are passwords.
fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut root: &dyn std::error::Error = error;
    while let Some(source) = root.source() {
        root = source;
    }
    if std::ptr::addr_eq(root, error) { "no answer".to_owned() } else { root.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_urls_are_seen_however_they_are_written() {
        let networks = Networks::default();
        let allowed = |url: &str| may_call(&url.parse().unwrap(), networks).is_ok();
        for good in ["https://gl.example.org/x", "http://10.0.0.7:3000/", "http://8.8.8.8/"] {
            assert!(allowed(good), "{good}");
        }
        for bad in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://0/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://169.254.169.254/latest/meta-data",
            "http://[fe80::1]/",
            "ftp://8.8.8.8/",
        ] {
            assert!(!allowed(bad), "{bad}");
        }
    }

    #[tokio::test]
    async fn names_resolve_only_to_what_may_be_called() {
        let resolve = async |networks| {
            let name: Name = "localhost".parse().unwrap();
            Allowed(Arc::new(ArcSwap::from_pointee(networks))).resolve(name).await.is_ok()
        };
        assert!(!resolve(Networks::default()).await);
        assert!(resolve(Networks { loopback: true, ..Networks::default() }).await);
    }
}
