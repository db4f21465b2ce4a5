//! Delivers callbacks to front ends: many at a time, each receiver at its own pace.

use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::bbb::query;
use crate::callback::Kind;
use crate::callback::envelope::Envelope;
use crate::callback::schedule::{self, Verdict};
use crate::callback::send::{self, Outgoing};
use crate::client::Client;
use crate::client::front_end::{FrontEnds, Message};
use crate::clock;
use crate::cluster::server::ServerId;
use crate::config::settings::{HookSettings, Settings};
use crate::hook::{event, sign};
use crate::recording::id::RecordId;
use crate::recording::merge::Merged;
use crate::state::State;
use crate::state::hooks::Hooks;
use crate::state::outbox::{Outbox, Parcel, Step};

/// How long a server has to say whether it lists a recording.
const LISTING_DEADLINE: Duration = Duration::from_secs(10);
/// How often the journal is looked through for what another process left.
const ADOPT_INTERVAL: Duration = Duration::from_secs(5);
/// How long attempts under way may finish after a stop was asked for.
const FINISH_DEADLINE: Duration = Duration::from_secs(5);
/// As many as bbb-webhooks follows (`bbb-api.md` 6.4).
const HOOK_REDIRECTS_MAX: usize = 10;

/// What delivering needs.
#[derive(Clone)]
pub struct Deliverer {
    outbox: Arc<Outbox>,
    hooks: Arc<Hooks>,
    state: Arc<State>,
    client: Client,
    front_ends: FrontEnds,
    settings: watch::Receiver<Arc<Settings>>,
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
        settings: watch::Receiver<Arc<Settings>>,
        public_url: &str,
        authorities: RootCertStore,
    ) -> anyhow::Result<Self> {
        let networks = settings.borrow().callbacks.networks;
        let front_ends = FrontEnds::new(networks, authorities)?;
        let public_url = public_url.into();
        Ok(Self { outbox, hooks, state, client, front_ends, settings, public_url })
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
        let message = Message {
            url: &outgoing.url,
            user_agent: &envelope.user_agent,
            content_type: &envelope.content_type,
            authorization: outgoing.authorization.as_deref().unwrap_or_default(),
            body: outgoing.body,
            // Scripts that tell of recordings follow none.
            post_redirects: if envelope.kind == Kind::Hook { HOOK_REDIRECTS_MAX } else { 0 },
        };
        self.front_ends.allow(self.settings.borrow().callbacks.networks);
        let sent = self.front_ends.send(message).await;
        let status = sent.map_err(|why| Failed(Verdict::Later, why))?;
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
            let HookSettings { form, algorithm } = self.settings.borrow().hooks;
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
        let body = body.map(|body| send::restore(&body, &keyring, secret, &self.public_url));
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
