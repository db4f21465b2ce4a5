//! The API on Pingora: reads a request, asks `route` what to do, does it. Holds no rules of its own; what a
//! server's answer teaches goes to `state`.
//!
//! Order of events for a forwarded call: `request_filter` verifies and decides, `upstream_peer` names the
//! server (and asks it first, if a create is in doubt), `upstream_request_filter` writes the request,
//! `upstream_response_filter` and `upstream_response_body_filter` hold the answer until it is known to be one,
//! `fail_to_proxy` answers when none came.

mod create;
pub mod exchange;
mod fan_out;
mod held;
mod learn;
mod peers;
mod recordings;
mod request;
mod retry;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_proxy::{FailToProxy, ProxyHttp, Session};

use crate::bbb::call::{BodyType, CallName, SignedCall};
use crate::bbb::fault::Fault;
use crate::bbb::query;
use crate::bbb::reply::Reply;
use crate::client::Client;
use crate::client::addresses::Addresses;
use crate::cluster::server::ServerId;
use crate::config::settings::{ServerSettings, Settings, Timeouts};
use crate::gateway::exchange::{Create, Errand, Exchange};
use crate::gateway::peers::Peers;
use crate::gateway::request::Head;
use crate::route::outgoing::OutgoingBody;
use crate::route::{self, Decision};
use crate::state::State;
use crate::tenant::Tenants;

/// How long an idle client connection is kept.
const KEEPALIVE_S: u64 = 75;

/// The proxy that answers the API.
pub struct Gateway {
    state: Arc<State>,
    tenants: Tenants,
    client: Client,
    peers: Peers,
    timeouts: Timeouts,
}

impl Gateway {
    /// A gateway to `servers`. Fails if a CA file cannot be used.
    pub fn new<'s>(
        settings: &Settings,
        servers: impl IntoIterator<Item = (ServerId, &'s ServerSettings)>,
        state: Arc<State>,
        client: Client,
        addresses: Arc<Addresses>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            state,
            tenants: Tenants::single(settings.secrets.clone()),
            client,
            peers: Peers::new(servers, addresses, settings.timeouts)?,
            timeouts: settings.timeouts,
        })
    }

    /// Answers the request, or prepares it for its server.
    async fn handle(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
    ) -> Result<Option<Reply>> {
        let head = Head::of(session);
        let Some(name) = CallName::of_path(&head.path) else {
            return Ok(Some(Reply::fault(&Fault::unsupported(), exchange.format)));
        };
        exchange.label = name.label().to_owned();
        exchange.format = name.format();
        exchange.body_bytes_max = request::body_bytes_max(&name, head.body);
        if head.body != BodyType::None {
            if head.body_bytes.is_some_and(|bytes| bytes > exchange.body_bytes_max) {
                let fault = Fault::body_too_large(exchange.body_bytes_max);
                return Ok(Some(Reply::fault(&fault, exchange.format)));
            }
            // Some clients announce fewer bytes than they send (clients.md 3.2): what follows the body must
            // never be read as a request.
            session.set_keepalive(None);
        }
        let names_meeting = query::first(&head.query, "meetingID").is_some();
        if let Some(reply) = route::before_verifying(&name, head.method, head.body, names_meeting) {
            return Ok(Some(reply));
        }
        if head.expects_continue && head.body != BodyType::None {
            session.as_mut().write_continue_response().await?;
        }
        let form = match head.body {
            BodyType::Form => match request::read_form(session).await? {
                Ok(form) => Some(form),
                Err(fault) => return Ok(Some(Reply::fault(&fault, exchange.format))),
            },
            BodyType::None | BodyType::Xml | BodyType::Multipart | BodyType::Unknown => None,
        };
        let signed = SignedCall { name: &name, query: &head.query, form: form.as_deref() };
        let (tenant, call) = match self.tenants.verify(&signed) {
            Ok(verified) => verified,
            Err(fault) => return Ok(Some(Reply::fault(&fault, exchange.format))),
        };
        let has_body = !matches!(head.body, BodyType::None | BodyType::Form);
        let decision = route::decide(&self.state.cluster(), tenant, &call);
        match decision {
            Decision::Reply(reply) => Ok(Some(reply)),
            Decision::Redirect(to) => {
                self.state.joined(tenant, &to.meeting);
                request::redirect(session, &to.location).await?;
                Ok(None)
            }
            Decision::FanOut(what) => Ok(Some(self.fan_out(what, &call).await)),
            Decision::OfRecording(id) => Ok(match self.server_of(&id).await {
                Ok(to) => {
                    exchange.errand =
                        Some(Errand::new(tenant, call, None, to, has_body, Create::No));
                    None
                }
                Err(reply) => Some(reply),
            }),
            Decision::Forward(to) => {
                let (meeting, to) = (Some(to.meeting), (to.server, to.spec));
                exchange.errand =
                    Some(Errand::new(tenant, call, meeting, to, has_body, Create::No));
                Ok(None)
            }
            Decision::Place(id, wish) => {
                // The front end may give up; the meeting is being made all the same, and its answer settles
                // the claim.
                session.as_mut().set_abort_on_close(false);
                Ok(match self.create(tenant, call, id, wish, has_body).await {
                    Ok(errand) => {
                        exchange.errand = Some(errand);
                        None
                    }
                    Err(fault) => Some(Reply::fault(&fault, exchange.format)),
                })
            }
        }
    }
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        Exchange { _in_flight: Some(self.state.in_flight().begin()), ..Exchange::default() }
    }

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
        session.set_keepalive(Some(KEEPALIVE_S));
        match self.handle(session, exchange).await? {
            Some(reply) => {
                request::send(session, &reply).await?;
                Ok(true)
            }
            None => Ok(exchange.errand.is_none()),
        }
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        exchange: &mut Exchange,
    ) -> Result<Box<HttpPeer>> {
        match &mut exchange.errand {
            Some(errand) => self.next_peer(errand).await,
            None => Err(Error::new_in(ErrorType::InternalError)),
        }
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        let Some(errand) = &mut exchange.errand else { return Ok(()) };
        *request = write_request(session, errand)?;
        errand.asked = self.state.now();
        errand.tries += 1;
        if let Create::Claimed(guard) = &mut errand.create {
            guard.sending();
        }
        Ok(())
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        exchange: &mut Exchange,
    ) -> Result<()> {
        exchange.body_bytes += body.as_ref().map_or(0, |chunk| chunk.len() as u64);
        if exchange.body_bytes > exchange.body_bytes_max {
            exchange.fault = Some(Fault::body_too_large(exchange.body_bytes_max));
            return Error::e_explain(ErrorType::HTTPStatus(413), "request body over its limit");
        }
        match exchange.errand.as_ref().map(|errand| &errand.outgoing.body) {
            Some(OutgoingBody::Received) | None => {}
            Some(OutgoingBody::None) => *body = None,
            Some(OutgoingBody::Form(form)) => {
                *body = end.then(|| Bytes::copy_from_slice(form.as_bytes()));
            }
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        _session: &mut Session,
        header: &mut ResponseHeader,
        _exchange: &mut Exchange,
    ) -> Result<()> {
        if header.status.is_informational() {
            return Ok(());
        }
        if header.status != http::StatusCode::OK {
            let status = header.status.as_u16();
            return Error::e_explain(ErrorType::HTTPStatus(status), "instead of an answer");
        }
        // Without a body there is nothing to hold back and judge later.
        if header.headers.get(http::header::CONTENT_LENGTH).is_some_and(|length| length == "0") {
            return Error::e_explain(ErrorType::Custom("nonsense"), "the answer is empty");
        }
        // The answer is held back and may become another one; a cookie of one server would only confuse
        // (clients.md 3.1).
        for name in [http::header::CONTENT_LENGTH, http::header::SET_COOKIE] {
            header.remove_header(&name);
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        header: &mut ResponseHeader,
        _exchange: &mut Exchange,
    ) -> Result<()> {
        if session.req_header().version == http::Version::HTTP_10 {
            header.remove_header(&http::header::TRANSFER_ENCODING);
        }
        Ok(())
    }

    fn upstream_response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        exchange: &mut Exchange,
    ) -> Result<Option<Duration>> {
        match exchange.held.take(body.take(), end, exchange.format) {
            Ok(held::Next::Wait) => {}
            Ok(held::Next::Stream(chunk)) => *body = Some(chunk),
            Ok(held::Next::Done(chunk, answer)) => {
                if let Some(errand) = &mut exchange.errand {
                    learn::from_answer(&self.state, errand, answer.as_ref());
                }
                *body = Some(chunk);
            }
            Err(nonsense) => {
                return Error::e_explain(ErrorType::Custom("nonsense"), nonsense.to_string());
            }
        }
        Ok(None)
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        exchange: &mut Exchange,
        mut error: Box<Error>,
    ) -> Box<Error> {
        error.set_retry(
            exchange.errand.as_mut().is_some_and(|errand| self.not_reached(errand, &error)),
        );
        error
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        exchange: &mut Exchange,
        reused: bool,
    ) -> Box<Error> {
        let can_resend =
            session.response_written().is_none() && !session.as_ref().retry_buffer_truncated();
        let retry = match &mut exchange.errand {
            Some(errand) if can_resend => self.may_resend(errand, &error, reused),
            _ => false,
        };
        if retry {
            exchange.held = held::Held::default();
            exchange.body_bytes = 0;
        }
        error.set_retry(retry);
        error
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        exchange: &mut Exchange,
    ) -> FailToProxy {
        self.report(exchange, error);
        let nobody_there = *error.esource() == ErrorSource::Downstream;
        let fault = exchange.fault.take().or(exchange.errand.as_ref().map(Errand::fault));
        // The outcome of a create is settled, or left in doubt, before anybody is answered.
        exchange.errand = None;
        let reply = Reply::fault(&fault.unwrap_or_else(Fault::internal), exchange.format);
        let sent = match session.response_written() {
            _ if nobody_there => false,
            None => request::send(session, &reply).await.is_ok(),
            // The header went out for an answer that then never became complete. It fits this one too.
            Some(_) if exchange.held.is_unsent() => {
                session.write_response_body(Some(reply.body), true).await.is_ok()
            }
            Some(_) => false,
        };
        FailToProxy { error_code: if sent { 200 } else { 0 }, can_reuse_downstream: sent }
    }

    fn suppress_error_log(&self, _session: &Session, _exchange: &Exchange, _error: &Error) -> bool {
        // Pingora's own line names the URI; `report` says the same without it.
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _exchange: &Exchange,
        _error: &Error,
        _context: pingora_proxy::ProxyWarnLogContext,
    ) -> bool {
        true
    }

    fn request_summary(&self, _session: &Session, exchange: &Exchange) -> String {
        exchange.label.clone()
    }

    async fn logging(
        &self,
        _session: &mut Session,
        _error: Option<&Error>,
        exchange: &mut Exchange,
    ) {
        exchange.errand = None;
    }
}

/// The request as the server gets it: nothing of the client's header but what it needs.
fn write_request(session: &Session, errand: &Errand) -> Result<RequestHeader> {
    let received = session.req_header();
    let copy =
        |request: &mut RequestHeader, name: http::HeaderName| match received.headers.get(&name) {
            Some(value) => request.insert_header(name, value),
            None => Ok(()),
        };
    let method = match errand.outgoing.body {
        OutgoingBody::None => http::Method::GET,
        OutgoingBody::Form(_) | OutgoingBody::Received => http::Method::POST,
    };
    let mut request = RequestHeader::build(method, errand.outgoing.target.as_bytes(), Some(8))?;
    request.insert_header(http::header::HOST, errand.spec.url.authority())?;
    request.insert_header(http::header::ACCEPT, "*/*")?;
    copy(&mut request, http::header::USER_AGENT)?;
    if let Some(client) = session.client_addr().and_then(|address| address.as_inet()) {
        request.insert_header("X-Forwarded-For", client.ip().to_string())?;
    }
    match &errand.outgoing.body {
        // A body that was read but does not go on makes Pingora announce chunks unless a length is given.
        OutgoingBody::None if errand.call.form().is_empty() => {}
        OutgoingBody::None => request.insert_header(http::header::CONTENT_LENGTH, 0)?,
        OutgoingBody::Form(form) => {
            let form_type = "application/x-www-form-urlencoded";
            request.insert_header(http::header::CONTENT_TYPE, form_type)?;
            request.insert_header(http::header::CONTENT_LENGTH, form.len())?;
        }
        OutgoingBody::Received => {
            copy(&mut request, http::header::CONTENT_LENGTH)?;
            copy(&mut request, http::header::TRANSFER_ENCODING)?;
            let received_type = received.headers.get(http::header::CONTENT_TYPE);
            let text = received_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
            // The first 3.0 releases compare the type as a string (bbb-api.md 1.5).
            if BodyType::of_content_type(text) == BodyType::Xml {
                request.insert_header(http::header::CONTENT_TYPE, "application/xml")?;
            } else {
                copy(&mut request, http::header::CONTENT_TYPE)?;
            }
        }
    }
    Ok(request)
}
