//! The API on Pingora: reads a request, asks `route` what to do, does it. Holds no rules of its own; what a
//! server's answer teaches goes to `state`. `proxy` says in which order things happen.

mod answer;
mod body;
mod browser;
pub mod callbacks;
mod create;
mod create_time;
pub mod entrance;
pub mod exchange;
mod fan_out;
mod guard;
mod gzip;
mod held;
mod hooks;
mod join;
mod learn;
pub mod live;
mod multipart;
mod note;
mod page;
mod panics;
mod peers;
mod proxy;
mod read;
mod recordings;
mod request;
mod retry;
mod upstream;

use std::sync::Arc;

use pingora_core::Result;
use pingora_core::connectors::http::v1::Connector;
use pingora_proxy::Session;

use crate::bbb::call::{BodyType, Call, CallName, SignedCall};
use crate::bbb::fault::Fault;
use crate::bbb::id::TenantId;
use crate::bbb::query;
use crate::bbb::reply::Reply;
use crate::callback;
use crate::client::Client;
use crate::client::addresses::Addresses;
use crate::cluster::meetings::Key;
use crate::cluster::server::ServerId;
use crate::config::settings::{
    Freshness, Limits, SecurityHeaders, ServerSettings, Settings, Timeouts, TrustedProxies,
};
use crate::edge::access_log::writer::AccessLog;
use crate::edge::guard::Guard;
use crate::gateway::answer::Outcome;
use crate::gateway::body::Room;
use crate::gateway::browser::Browsers;
use crate::gateway::callbacks::Callbacks;
use crate::gateway::create_time::FormerLives;
use crate::gateway::entrance::Entrance;
use crate::gateway::exchange::{Create, Errand, Exchange};
use crate::gateway::peers::Peers;
use crate::gateway::read::Told;
use crate::gateway::request::Head;
use crate::route::{self, Decision};
use crate::state::State;
use crate::state::fresh::Fresh;
use crate::tenant::Tenants;

/// What all bodies of parameters that are being read may take together, beyond 64 KiB each.
const PARAMETER_BYTES_MAX: usize = 128 * 1024 * 1024;

/// The proxy that answers the API.
pub struct Gateway {
    state: Arc<State>,
    tenants: Tenants,
    client: Client,
    peers: Peers,
    timeouts: Timeouts,
    limits: Limits,
    trusted_proxies: TrustedProxies,
    security_headers: SecurityHeaders,
    entrance: Entrance,
    room: Room,
    /// If joins are to be healed.
    former_lives: Option<Arc<FormerLives>>,
    callbacks: Option<Arc<Callbacks>>,
    browsers: Browsers,
    access_log: Option<AccessLog>,
    guard: Arc<Guard>,
    connector: Arc<Connector>,
    fresh: Arc<Fresh<Told>>,
    freshness: Freshness,
}

impl Gateway {
    /// A gateway to `servers`. Fails if a CA file cannot be used.
    pub fn new<'s>(
        settings: &Settings,
        servers: impl IntoIterator<Item = (ServerId, &'s ServerSettings)>,
        state: Arc<State>,
        client: Client,
        addresses: Arc<Addresses>,
        connector: Arc<Connector>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            state,
            tenants: Tenants::single(settings.secrets.clone()),
            client,
            peers: Peers::new(servers, addresses, settings.timeouts)?,
            timeouts: settings.timeouts,
            limits: settings.limits,
            trusted_proxies: settings.trusted_proxies.clone(),
            security_headers: settings.security_headers,
            entrance: Entrance::default(),
            room: Room::of(
                PARAMETER_BYTES_MAX.max(usize::try_from(settings.limits.documents_bytes)? * 2),
            ),
            former_lives: settings.heal_create_time.then(Arc::default),
            callbacks: None,
            browsers: Browsers::new(settings.cluster_proxy),
            access_log: None,
            guard: Arc::default(),
            connector,
            fresh: Arc::default(),
            freshness: settings.freshness,
        })
    }

    /// The same with other settings: what was learned and what is counted stays.
    pub fn renewed<'s>(
        &self,
        settings: &Settings,
        servers: impl IntoIterator<Item = (ServerId, &'s ServerSettings)>,
    ) -> anyhow::Result<Self> {
        let (state, client) = (self.state.clone(), self.client.clone());
        let anew = Self::new(settings, [], state, client, Arc::default(), self.connector.clone())?;
        let peers = self.peers.renewed(servers, settings.timeouts)?;
        let lives = anew.former_lives.clone().map(|new| self.former_lives.clone().unwrap_or(new));
        let is_as_large = self.limits.documents_bytes == settings.limits.documents_bytes;
        let room = if is_as_large { self.room.clone() } else { anew.room.clone() };
        let (callbacks, entrance) = (self.callbacks.clone(), self.entrance.clone());
        let (access_log, guard) = (self.access_log.clone(), self.guard.clone());
        let browsers = self.browsers.renewed(settings.cluster_proxy);
        let fresh = self.fresh.clone();
        let known = Self { callbacks, entrance, access_log, guard, browsers, fresh, ..anew };
        Ok(Self { peers, former_lives: lives, room, ..known })
    }

    /// With an access log, or without one.
    pub fn with_access_log(mut self, log: Option<AccessLog>) -> Self {
        self.access_log = log;
        self
    }

    /// Answers the request, or prepares it for its server.
    async fn handle(&self, session: &mut Session, exchange: &mut Exchange) -> Result<Outcome> {
        let head = Head::of(session);
        let name = CallName::of_path(&head.path);
        exchange.note.asks_for(&head.path, name.as_ref(), "");
        let at_entrance = self.at_entrance(session, exchange, &head, name.as_ref());
        let outcome = match (at_entrance, &name) {
            (Some(outcome), _) => outcome,
            (None, _) if callback::token_of(&head.path).is_some() => {
                exchange.label = "callback".to_owned();
                Outcome::Empty(Box::pin(self.callback(session, &head)).await?)
            }
            (None, name) if !self.allows(exchange, name.as_ref()) => {
                Self::too_many(exchange, name.as_ref())
            }
            (None, Some(name)) => self.answer(session, exchange, &head, name).await?,
            (None, None) => match self.visit(session, exchange, &head) {
                Some(outcome) => outcome?,
                None => Outcome::Reply(Reply::fault(&Fault::unsupported(), exchange.format)),
            },
        };
        self.look_at(exchange, &outcome).await;
        if name.is_none() {
            exchange.note.asks_for(&head.path, None, &exchange.label);
        }
        let streams = exchange.errand.as_ref().is_some_and(|errand| errand.has_body);
        if head.has_body && !streams && exchange.visit.is_none() {
            exchange.unread = Some(head);
        }
        Ok(outcome)
    }

    async fn answer(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        head: &Head,
        name: &CallName,
    ) -> Result<Outcome> {
        exchange.label = name.label().to_owned();
        exchange.format = name.format();
        exchange.body_bytes_max = request::body_bytes_max(name, &self.limits);
        let refuse = |fault: Fault| Ok(Outcome::Reply(Reply::fault(&fault, name.format())));
        if head.body != BodyType::None
            && head.body_bytes.is_some_and(|bytes| bytes > exchange.body_bytes_max)
        {
            return refuse(Fault::body_too_large(exchange.body_bytes_max));
        }
        if name.as_str().starts_with("hooks/")
            && let Some(reply) = Box::pin(self.hooks(name, head)).await
        {
            return Ok(Outcome::Reply(reply));
        }
        let names_meeting = query::first(&head.query, "meetingID").is_some();
        if let Some(reply) = route::before_verifying(name, head.method, head.body, names_meeting) {
            return Ok(Outcome::Reply(reply));
        }
        let form = if head.has_body {
            match Box::pin(self.read_parameters(session, exchange, head, name)).await? {
                Ok(form) => form,
                Err(fault) => return refuse(fault),
            }
        } else {
            None
        };
        let signed = SignedCall { name, query: &head.query, form: form.as_deref() };
        match self.tenants.verify(&signed) {
            Ok((tenant, call)) => {
                let streams = form.is_none() && head.body != BodyType::None;
                self.carry_out(session, exchange, (head, streams), tenant, call).await
            }
            Err(fault) => refuse(fault),
        }
    }

    /// The parameters in the body. A body that is no form is left for the server, one on a GET for nobody.
    async fn read_parameters(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        head: &Head,
        name: &CallName,
    ) -> Result<std::result::Result<Option<String>, Fault>> {
        if head.has_body {
            // Some clients announce fewer bytes than they send (clients.md 3.2): what follows the body must
            // never be read as a request.
            session.set_keepalive(None);
        }
        let is_form = head.body == BodyType::Form
            || head.body == BodyType::Multipart && name.reads_multipart();
        // A checksum in the query covers the query alone: who has a wrong one need not send the rest.
        if head.body != BodyType::None && query::first(&head.query, "checksum").is_some() {
            let signed = SignedCall { name, query: &head.query, form: None };
            if let Err(fault) = self.tenants.verify(&signed) {
                return Ok(Err(fault));
            }
        }
        if head.expects_continue && head.body != BodyType::None {
            session.as_mut().write_continue_response().await?;
        }
        if !is_form {
            if head.has_body && head.body == BodyType::None {
                body::forget(session).await?;
            }
            return Ok(Ok(None));
        }
        let bytes = match body::read(
            session,
            exchange.body_bytes_max,
            &self.room,
            &mut exchange.room,
        )
        .await
        {
            Ok(bytes) => bytes.freeze(),
            Err(fault) => return Ok(Err(fault)),
        };
        body::forget(session).await?;
        Ok(if head.body == BodyType::Multipart {
            multipart::as_form(&head.content_type, bytes).await.map(Some)
        } else {
            Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
        })
    }

    /// Does what is to be done with a verified call.
    async fn carry_out(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        (head, has_body): (&Head, bool),
        tenant: TenantId,
        call: Call,
    ) -> Result<Outcome> {
        if !self.guard.allows_secret(tenant.0.into(), self.guard.now()) {
            let fault = Fault::too_many_requests();
            return Ok(Outcome::Reply(Reply::fault(&fault, exchange.format)));
        }
        let call = match &self.former_lives {
            Some(lives) => lives.heal(&self.state.cluster(), tenant, call),
            None => call,
        };
        if self.state.has_sibling()
            && let Some(id) = call.meeting_id()
        {
            self.state.ask_sibling(tenant, &id).await;
        }
        let decision = route::decide(&self.state.cluster(), tenant, &call);
        exchange.note.decided(tenant, &decision);
        match decision {
            Decision::Reply(reply) => return Ok(join::refuse(&call, head, reply)),
            Decision::Redirect(to) => {
                self.state.joined(tenant, &to.meeting);
                self.note_server(&mut exchange.note, tenant, &to.meeting);
                self.fresh.changed(&Key { tenant, id: to.meeting.clone() });
                return Ok(Outcome::Redirect(to.location));
            }
            Decision::FanOut(what) => {
                return Ok(Outcome::Reply(Box::pin(self.fan_out(what, &call)).await));
            }
            Decision::OfRecording(id) => match Box::pin(self.server_of(&id)).await {
                Ok(to) => {
                    let errand = Errand::new(tenant, call, None, to, has_body, Create::No);
                    exchange.errand = Some(errand);
                }
                Err(reply) => return Ok(Outcome::Reply(reply)),
            },
            Decision::Forward(to) if !has_body && read::only_looks(call.name()) => {
                return Ok(self.read(session, exchange, tenant, call, to).await);
            }
            Decision::Forward(to) => {
                self.fresh.changed(&Key { tenant, id: to.meeting.clone() });
                let (meeting, to) = (Some(to.meeting), (to.server, to.spec));
                let errand = Errand::new(tenant, call, meeting, to, has_body, Create::No);
                exchange.errand = Some(errand);
            }
            Decision::Place(id, wish) => {
                self.fresh.changed(&Key { tenant, id: id.clone() });
                // The front end may give up; the meeting is being made all the same, and its answer settles
                // the claim.
                session.as_mut().set_abort_on_close(false);
                match Box::pin(self.create(tenant, call, id, wish, has_body)).await {
                    Ok(errand) => exchange.errand = Some(errand),
                    Err(fault) => {
                        return Ok(Outcome::Reply(Reply::fault(&fault, exchange.format)));
                    }
                }
            }
        }
        Ok(Outcome::Forward)
    }
}
