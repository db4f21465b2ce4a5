//! What is remembered of a request for the access log, and for whoever else counts requests: [`record`] is all of
//! it, put together once at the end. Nothing here decides anything.

use std::borrow::Cow;

use http::{HeaderMap, Method, Version, header};
use pingora_proxy::Session;

use crate::bbb::call::CallName;
use crate::bbb::id::{KeyHash, MeetingId, TenantId};
use crate::bbb::xml::{Answer, ReturnCode};
use crate::cluster::moment::Moment;
use crate::cluster::server::ServerId;
use crate::edge::access_log::{Record, program};
use crate::gateway::Gateway;
use crate::gateway::answer::Outcome;
use crate::gateway::exchange::{Create, Errand, Exchange};
use crate::route;

/// A `messageKey` of a server is shown if it looks like one.
const KEY_CHARS_MAX: usize = 40;

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Note {
    pub(crate) began_unix_ms: u64,
    pub(crate) began: Moment,
    pub(crate) request_id: String,
    pub(crate) path: Cow<'static, str>,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) meeting: Option<KeyHash>,
    pub(crate) server: Option<String>,
    pub(crate) result: Option<Cow<'static, str>>,
    pub(crate) decision: Option<&'static str>,
    pub(crate) people: Option<u32>,
    pub(crate) upstream_ms: Option<u64>,
}

impl Note {
    /// The call was verified, and this is to be done.
    pub(crate) fn decided(&mut self, tenant: TenantId, decision: &route::Decision) {
        self.tenant = Some(tenant);
        let mut about = |id: &MeetingId| self.meeting = Some(KeyHash::of(tenant, id));
        self.decision = match decision {
            route::Decision::Reply(_) => None,
            route::Decision::Redirect(to) => {
                about(&to.meeting);
                Some("redirected")
            }
            route::Decision::Forward(to) => {
                about(&to.meeting);
                Some("forwarded")
            }
            route::Decision::Place(id, wish) => {
                about(id);
                self.people = wish.size_hint;
                None
            }
            route::Decision::OfRecording(_) => Some("forwarded"),
            route::Decision::FanOut(_) => Some("all"),
        };
    }

    /// The call is on its way to a server, for the first time or again.
    pub(crate) fn sent(&mut self, errand: &Errand) {
        self.server = Some(errand.spec.name.to_string());
        match errand.create {
            Create::Claimed(_) => self.decision = Some("created"),
            Create::Repeated(_) => self.decision = Some("existing"),
            Create::Settled | Create::No => {}
        }
    }

    /// A server has answered this at `now`; `None`: more than was read.
    pub(crate) fn answered(&mut self, errand: &Errand, answer: Option<&Answer>, now: Moment) {
        self.upstream_ms = Some(milliseconds(now, errand.asked));
        self.result = answer.map(|answer| {
            let key = &answer.message_key;
            let is_key = (1..=KEY_CHARS_MAX).contains(&key.len())
                && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
            match answer.returncode {
                ReturnCode::Success => "SUCCESS".into(),
                ReturnCode::Failed if is_key => key.clone().into(),
                ReturnCode::Failed => "FAILED".into(),
            }
        });
    }

    /// What was answered here.
    pub(crate) fn replied(&mut self, outcome: &Outcome) {
        if let Outcome::Reply(reply) = outcome {
            self.result = Some(reply.key.unwrap_or("SUCCESS").into());
        }
    }

    /// Where it leads, as far as a log may know.
    pub(crate) fn asks_for(&mut self, path: &str, name: Option<&CallName>, label: &str) {
        self.path = match name {
            Some(name) if *name == CallName::Index => "/bigbluebutton/api".into(),
            Some(name) => format!("/bigbluebutton/api/{}", name.label()).into(),
            None if path == "/" => "/".into(),
            None if label.is_empty() => "/-".into(),
            None => format!("/-/{label}").into(),
        };
    }
}

impl Gateway {
    /// The server that a join leads to; it may have moved since, but hardly in this moment.
    pub(crate) fn note_server(&self, note: &mut Note, tenant: TenantId, id: &MeetingId) {
        let cluster = self.state.cluster();
        let server: Option<ServerId> = cluster.find(tenant, id).map(|meeting| meeting.server);
        let member = server.and_then(|server| cluster.member(server));
        note.server = member.map(|member| member.spec.name.to_string());
    }

    /// Everything about a request that has ended.
    pub(crate) fn record(&self, session: &Session, exchange: &Exchange) -> Record {
        let header = session.req_header();
        let note = &exchange.note;
        let status = session.response_written().map_or(0, |answer| answer.status.as_u16());
        let call = !exchange.label.is_empty();
        Record {
            began_unix_ms: note.began_unix_ms,
            request_id: note.request_id.clone(),
            address: exchange.client.as_ref().map(|client| client.address),
            method: method(&header.method),
            path: note.path.clone(),
            protocol: protocol(header.version),
            status,
            bytes: u64::try_from(session.body_bytes_sent()).unwrap_or(u64::MAX),
            duration_ms: milliseconds(self.state.now(), note.began),
            tenant: note.tenant.map(name_of),
            call: call.then(|| exchange.label.clone()),
            server: note.server.clone(),
            meeting: note.meeting.map(|hash| hash.to_string()),
            result: note.result.clone(),
            decision: note.decision,
            people: note.people,
            upstream_ms: note.upstream_ms,
            user_agent: program(user_agent(&header.headers)),
        }
    }
}

fn name_of(tenant: TenantId) -> Cow<'static, str> {
    if tenant == TenantId::DEFAULT { "default".into() } else { tenant.0.to_string().into() }
}

fn milliseconds(now: Moment, then: Moment) -> u64 {
    u64::try_from(now.since(then).as_millis()).unwrap_or(u64::MAX)
}

fn user_agent(headers: &HeaderMap) -> &str {
    headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Clients can make methods up.
fn method(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("OTHER")
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}
