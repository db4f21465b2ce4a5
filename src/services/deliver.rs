//! Delivers callbacks to front ends: many at a time, each receiver at its own pace. Calls only addresses that
//! may be called, looked at on every connection; no other module calls a URL that a front end chose.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect;
use rustls::RootCertStore;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::bbb::query;
use crate::callback::Kind;
use crate::callback::envelope::Envelope;
use crate::callback::schedule::{self, Verdict};
use crate::callback::send::{self, Outgoing};
use crate::callback::target::Networks;
use crate::client::{Client, tls};
use crate::clock;
use crate::cluster::server::ServerId;
use crate::config::settings::{HookSettings, Settings};
use crate::hook::{event, sign};
use crate::recording::id::RecordId;
use crate::recording::merge::Merged;
use crate::state::State;
use crate::state::hooks::Hooks;
use crate::state::outbox::{Outbox, Parcel, Step};

/// One attempt, end to end.
const DEADLINE: Duration = Duration::from_secs(20);
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// How long a server has to say whether it lists a recording.
const LISTING_DEADLINE: Duration = Duration::from_secs(10);
/// As many as servers of 2.x follow.
const REDIRECTS_MAX: usize = 5;
/// How often the journal is looked through for what another process left.
const ADOPT_INTERVAL: Duration = Duration::from_secs(5);
/// How long attempts under way may finish after a stop was asked for.
const FINISH_DEADLINE: Duration = Duration::from_secs(5);

/// What delivering needs.
#[derive(Clone)]
pub struct Deliverer {
    outbox: Arc<Outbox>,
    hooks: Arc<Hooks>,
    state: Arc<State>,
    client: Client,
    /// For GET: follows redirects, as servers do.
    get: reqwest::Client,
    post: reqwest::Client,
    networks: Networks,
    events: HookSettings,
    public_url: Arc<str>,
}

/// Why an attempt failed, in words without the URL.
struct Failed(Verdict, String);

impl Deliverer {
    /// One that calls only the networks in `settings`, and over TLS only who leads to one of `authorities`.
    pub fn new(
        outbox: Arc<Outbox>,
        hooks: Arc<Hooks>,
        state: Arc<State>,
        client: Client,
        settings: &Settings,
        public_url: &str,
        authorities: RootCertStore,
    ) -> anyhow::Result<Self> {
        let (networks, events) = (settings.callbacks.networks, settings.hooks);
        let redirects = redirect::Policy::custom(move |attempt| {
            let may_follow = attempt.previous().len() <= REDIRECTS_MAX
                && may_call(attempt.url(), networks).is_ok();
            if may_follow { attempt.follow() } else { attempt.stop() }
        });
        let tls = tls::checked(authorities)?;
        let build = |policy| {
            reqwest::Client::builder()
                .redirect(policy)
                .referer(false)
                .no_proxy()
                .tls_backend_preconfigured(tls.clone())
                .dns_resolver(Arc::new(Allowed(networks)))
                .connect_timeout(CONNECT_DEADLINE)
                .timeout(DEADLINE)
                .pool_idle_timeout(Duration::from_secs(30))
                .pool_max_idle_per_host(2)
                .build()
                .context("cannot set up TLS for callbacks")
        };
        let (get, post) = (build(redirects)?, build(redirect::Policy::none())?);
        let public_url = public_url.into();
        Ok(Self { outbox, hooks, state, client, get, post, networks, events, public_url })
    }

    /// Delivers until `shutdown` turns true.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) {
        let mut attempts = JoinSet::new();
        let mut adopt = tokio::time::interval(ADOPT_INTERVAL);
        loop {
            let pause = match self.outbox.next() {
                Step::Try(parcel) => {
                    let this = self.clone();
                    attempts.spawn(async move { this.attempt(parcel).await });
                    continue;
                }
                Step::Wait(pause) => pause,
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.outbox.changed() => {}
                Some(_) = attempts.join_next() => {}
                _ = adopt.tick() => self.adopt().await,
                () = stopped(&mut shutdown) => break,
            }
        }
        let finishing = async { while attempts.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(FINISH_DEADLINE, finishing).await;
        self.outbox.release();
    }

    async fn adopt(&self) {
        let outbox = self.outbox.clone();
        if let Ok(count @ 1..) = tokio::task::spawn_blocking(move || outbox.adopt()).await {
            log::info!("callbacks taken over from before; count={count}");
        }
    }

    async fn attempt(&self, parcel: Parcel) {
        let (verdict, reason) = match self.try_once(&parcel).await {
            Ok(()) => (Verdict::Delivered, String::new()),
            Err(Failed(verdict, reason)) => (verdict, reason),
        };
        let given_up = self.outbox.tried(&parcel, verdict, &reason).await;
        let hook = event::hook_of(&parcel.envelope.lane).filter(|_| given_up);
        // As bbb-webhooks does: a receiver that takes nothing loses its hook, so that nothing piles up.
        if let Some((tenant, id)) = hook
            && self.hooks.registry().remove(tenant, id)
        {
            log::warn!("hook removed: nobody takes its events; hook={id}");
            self.hooks.changed();
        }
    }

    async fn try_once(&self, parcel: &Parcel) -> Result<(), Failed> {
        let envelope = &parcel.envelope;
        let hook = event::hook_of(&envelope.lane);
        if hook.is_some_and(|(tenant, id)| self.hooks.registry().is_gone(tenant, id)) {
            return Err(Failed(Verdict::Refused, "the hook was destroyed".to_owned()));
        }
        if !self.is_listed(envelope).await {
            return Err(Failed(Verdict::Later, "the recording is not listed yet".to_owned()));
        }
        let outgoing = self.write(parcel);
        let url: reqwest::Url =
            outgoing.url.parse().map_err(|_| Failed(Verdict::Refused, "not a URL".to_owned()))?;
        may_call(&url, self.networks).map_err(|why| Failed(Verdict::Later, why.to_owned()))?;
        let mut request = match &outgoing.body {
            Some(body) => self.post.post(url).body(body.clone()),
            None => self.get.get(url),
        };
        for (name, value) in [
            (http::header::USER_AGENT, Some(&envelope.user_agent)),
            (http::header::CONTENT_TYPE, Some(&envelope.content_type)),
            (http::header::AUTHORIZATION, outgoing.authorization.as_ref()),
        ] {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await.map_err(|error| Failed(Verdict::Later, why(&error)))?;
        let status = answer.status().as_u16();
        match schedule::verdict(envelope.kind, status) {
            Verdict::Delivered => Ok(()),
            verdict @ (Verdict::Refused | Verdict::Later) => {
                Err(Failed(verdict, format!("HTTP status {status}")))
            }
        }
    }

    fn write(&self, parcel: &Parcel) -> Outgoing {
        let (envelope, secret) = (&parcel.envelope, &parcel.secret);
        if envelope.kind == Kind::Hook {
            let HookSettings { form, algorithm } = self.events;
            let body = String::from_utf8_lossy(&envelope.body);
            let url = sign::sign(form, algorithm, &envelope.url, &body, secret);
            return Outgoing { url, authorization: None, body: Some(envelope.body.clone()) };
        }
        let outgoing = send::write(envelope, secret, clock::unix_s());
        if envelope.kind != Kind::Analytics {
            return outgoing;
        }
        let keyring = self.outbox.keyring();
        let body = outgoing.body;
        let body = body.map(|body| send::restore(&body, keyring, secret, &self.public_url));
        Outgoing { body, ..outgoing }
    }

    /// Whether a server that told of the recording lists it: Greenlight asks for it while it is being told
    /// (`clients.md` 4.1).
    async fn is_listed(&self, envelope: &Envelope) -> bool {
        let Some(id) = envelope.record_id.as_deref().and_then(RecordId::new) else { return true };
        let servers = self.state.servers().into_iter();
        let told = servers
            .filter(|(_, spec)| envelope.servers.iter().any(|name| *name == spec.name.as_str()));
        for (server, _) in told {
            if self.lists(server, &id).await {
                return true;
            }
        }
        false
    }

    async fn lists(&self, server: ServerId, id: &RecordId) -> bool {
        let query = format!("recordID={}", query::encode(id.as_str()));
        let answer = self.client.call(server, "getRecordings", &query, LISTING_DEADLINE).await;
        let Ok(body) = answer else { return false };
        Merged::of([(server, Some(&body[..]))]).server_of(id).is_some()
    }
}

async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means that nobody is left who could ask for a stop.
    let _ = shutdown.wait_for(|stop| *stop).await;
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
struct Allowed(Networks);

#[derive(Debug, thiserror::Error)]
#[error("{NOT_ALLOWED}")]
struct NotAllowed;

impl Resolve for Allowed {
    fn resolve(&self, name: Name) -> Resolving {
        let networks = self.0;
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
            Allowed(networks).resolve(name).await.is_ok()
        };
        assert!(!resolve(Networks::default()).await);
        assert!(resolve(Networks { loopback: true, ..Networks::default() }).await);
    }
}
