//! The order of events, as Pingora calls them. For a forwarded call: `request_filter` verifies and decides,
//! `upstream_peer` names the server (and asks it first, if a create is in doubt), `upstream_request_filter`
//! writes the request, `upstream_response_filter` and `upstream_response_body_filter` hold the answer until it
//! is known to be one, `fail_to_proxy` answers when none came.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_proxy::{FailToProxy, ProxyHttp, Session};

use crate::bbb::fault::Fault;
use crate::bbb::reply::Reply;
use crate::bbb::xml::Answer;
use crate::clock;
use crate::cluster::meetings::Key;
use crate::edge;
use crate::gateway::answer::Outcome;
use crate::gateway::exchange::{Create, Errand, Exchange};
use crate::gateway::note::Note;
use crate::gateway::{
    Gateway, answer, body, browser, guard, held, learn, panics, request, upstream,
};
use crate::route::outgoing::OutgoingBody;

impl Gateway {
    /// Takes to heart what the answer to a forwarded call says.
    fn learn(&self, exchange: &mut Exchange, answer: Option<&Answer>) {
        let Some(errand) = &mut exchange.errand else { return };
        exchange.note.answered(errand, answer, self.state.now());
        learn::from_answer(&self.state, errand, answer);
        self.meeting_changed(errand);
        let lived = (&self.former_lives, errand.running_since, &errand.meeting);
        if let (Some(lives), Some(before), Some(id)) = lived {
            lives.learn(&self.state.cluster(), errand.tenant, id, before);
        }
    }

    /// What was read of the errand's meeting before is read again.
    fn meeting_changed(&self, errand: &Errand) {
        if let Some(id) = &errand.meeting {
            self.fresh.changed(&Key { tenant: errand.tenant, id: id.clone() });
        }
    }

    async fn peer_of(&self, exchange: &mut Exchange) -> Result<Box<HttpPeer>> {
        if let Some(visit) = &exchange.visit {
            return self.peer_of_visit(visit);
        }
        let Some(errand) = &mut exchange.errand else {
            return Err(Error::new_in(ErrorType::InternalError));
        };
        let mut peer = self.next_peer(errand).await?;
        if errand.has_body {
            // The server is silent for as long as the client takes to send the body.
            peer.options.read_timeout = Some(self.timeouts.create.max(self.timeouts.call));
        }
        Ok(peer)
    }

    fn write_request(
        &self,
        session: &Session,
        request: &mut RequestHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        if let Some(visit) = &exchange.visit {
            return browser::write_request(visit, exchange.client.as_ref(), request);
        }
        let Some(errand) = &mut exchange.errand else { return Ok(()) };
        *request = upstream::write_request(session, errand)?;
        if let Some(client) = &exchange.client {
            edge::forwarded::write(client, request)?;
        }
        request.insert_header(edge::request_id::X_REQUEST_ID, &exchange.note.request_id)?;
        exchange.note.sent(errand);
        errand.asked = self.state.now();
        errand.tries += 1;
        if let Create::Claimed(guard) = &mut errand.create {
            guard.sending();
        }
        Ok(())
    }

    /// Takes the next chunk of an answer and leaves in its place what the client gets now.
    fn take_chunk(
        &self,
        body: &mut Option<Bytes>,
        end: bool,
        exchange: &mut Exchange,
    ) -> Result<Option<Duration>> {
        let nonsense = |why: String| Error::explain(ErrorType::Custom("nonsense"), why);
        let mut chunk = body.take();
        if let Some(unpacker) = &mut exchange.unpacker {
            let unpacked = unpacker.push(&chunk.unwrap_or_default(), end);
            chunk = Some(unpacked.map_err(|why| nonsense(why.to_string()))?);
        }
        let next = exchange.held.take(chunk, end, exchange.format);
        let (chunk, last) = match next.map_err(|why| nonsense(why.to_string()))? {
            held::Next::Wait => return Ok(None),
            held::Next::Stream(chunk) => (chunk, false),
            held::Next::Done(chunk, answer) => {
                self.learn(exchange, answer.as_ref());
                (chunk, true)
            }
        };
        let chunk = exchange.pack(chunk, last);
        *body = (last || !chunk.is_empty()).then_some(chunk);
        Ok(None)
    }

    /// Tells the client that no usable answer came; whether it could be told.
    async fn tell_failure(
        &self,
        session: &mut Session,
        error: &Error,
        exchange: &mut Exchange,
    ) -> bool {
        Self::report(exchange, error);
        if exchange.visit.is_some() {
            let is_unsent = session.response_written().is_none();
            return is_unsent && answer::empty(session, StatusCode::BAD_GATEWAY).await.is_ok();
        }
        // Who stopped in the middle of a request may still be listening; if not, saying it does no harm.
        let incomplete =
            (*error.esource() == ErrorSource::Downstream).then(Fault::request_incomplete);
        let fault = exchange.fault.take().or(incomplete);
        let fault = fault.or(exchange.errand.as_ref().map(Errand::fault));
        if let Some(errand) = &exchange.errand {
            // It may have been carried out all the same.
            self.meeting_changed(errand);
        }
        // The outcome of a create is settled, or left in doubt, before anybody is answered.
        exchange.errand = None;
        let reply = Reply::fault(&fault.unwrap_or_else(Fault::internal), exchange.format);
        exchange.note.result = reply.key.map(Into::into);
        match session.response_written() {
            None => {
                let sent = answer::send(session, &reply).await.is_ok();
                if let Some(head) = exchange.unread.take() {
                    body::drain(session, &head).await;
                }
                sent
            }
            // The header went out for an answer that then never became complete. It fits this one too.
            Some(_) if exchange.held.is_unsent() => {
                let body = exchange.pack(reply.body, true);
                session.write_response_body(Some(body), true).await.is_ok()
            }
            Some(_) => false,
        }
    }
}

/// Counts the next chunk of a request's body, and puts what the server is to have in its place.
fn take_body(body: &mut Option<Bytes>, end: bool, exchange: &mut Exchange) -> Result<()> {
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

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        let note = Note {
            began_unix_ms: clock::unix_ms(),
            began: self.state.now(),
            path: "/-".into(),
            ..Note::default()
        };
        Exchange { _in_flight: Some(self.state.in_flight().begin()), note, ..Exchange::default() }
    }

    fn init_downstream_modules(&self, modules: &mut HttpModules) {
        modules.add_module(Box::new(edge::headers::Careful));
    }

    async fn early_request_filter(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
    ) -> Result<()> {
        self.header_is_here(session);
        // An HTTP/1.0 client reads until the connection ends.
        let is_old = session.req_header().version == http::Version::HTTP_10;
        if is_old || self.state.connections().are_leaving() {
            session.set_keepalive(None);
        }
        let told = panics::caught_now(|| {
            let client = edge::client::client(session, &self.trusted_proxies);
            let believed = edge::client::is_believed(session, &self.trusted_proxies);
            Ok((client, edge::request_id::of(&session.req_header().headers, believed)))
        });
        let (client, id) = panics::outcome(told, exchange)?;
        if let Some(lines) = session.downstream_modules_ctx.get_mut::<edge::headers::Lines>() {
            lines.decide(&self.security_headers, client.scheme);
            lines.name(&id);
        }
        exchange.client = Some(client);
        exchange.note.request_id = id;
        // What follows a request is the next one, answered in its turn; without this Pingora gives up the
        // first one, which may be a create.
        session.as_mut().set_pipelining_enabled(true);
        let fault = panics::outcome(panics::caught_now(|| Ok(request::refuse(session))), exchange)?;
        // No call is ever upgraded, and whether to keep the connection is decided. Pingora gives a request up
        // without an answer if its Connection line names what it must not.
        exchange.wants_websocket = browser::wants_websocket(session.req_header());
        for name in [header::CONNECTION, header::UPGRADE] {
            session.req_header_mut().remove_header(&name);
        }
        let Some(fault) = fault else { return Ok(()) };
        session.set_keepalive(None);
        self.refused_by_header(exchange, &fault);
        exchange.fault = Some(fault);
        Error::e_explain(ErrorType::HTTPStatus(400), "refused by its header")
    }

    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
        let outcome = match panics::caught(self.handle(session, exchange)).await {
            Ok(outcome) => outcome?,
            panicked @ Err(panics::Caught) => {
                session.set_keepalive(None);
                exchange.errand = None;
                panics::outcome(panicked, exchange)?
            }
        };
        exchange.note.replied(&outcome);
        match outcome {
            Outcome::Forward => return Ok(false),
            Outcome::Reply(reply) => answer::send(session, &reply).await?,
            Outcome::Relayed(relayed) => answer::relay(session, &relayed).await?,
            Outcome::Redirect(location) => answer::redirect(session, &location).await?,
            Outcome::Empty(status) => answer::empty(session, status).await?,
            Outcome::Page(page) => answer::show(session, page).await?,
            Outcome::Text(status, text) => answer::text(session, status, text).await?,
            Outcome::Moved(status, to) => answer::moved(session, status, &to).await?,
        }
        if let Some(head) = exchange.unread.take() {
            body::drain(session, &head).await;
        }
        Ok(true)
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        exchange: &mut Exchange,
    ) -> Result<Box<HttpPeer>> {
        let peer = panics::caught(self.peer_of(exchange)).await;
        panics::outcome(peer, exchange)
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        let written = panics::caught_now(|| self.write_request(session, request, exchange));
        panics::outcome(written, exchange)
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        exchange: &mut Exchange,
    ) -> Result<()> {
        let taken = panics::caught_now(|| {
            take_body(body, end, exchange)?;
            self.body_in_time(exchange)
        });
        panics::outcome(taken, exchange)
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        answer: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        if answer.status.is_informational() || exchange.visit.is_some() {
            return Ok(());
        }
        let taken = panics::caught_now(|| upstream::take_header(session, answer, exchange));
        panics::outcome(taken, exchange)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        answer: &mut ResponseHeader,
        _exchange: &mut Exchange,
    ) -> Result<()> {
        if session.req_header().version == http::Version::HTTP_10 {
            answer.remove_header(&header::TRANSFER_ENCODING);
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
        if exchange.visit.is_some() {
            return Ok(None);
        }
        let is_unsent = exchange.held.is_unsent();
        let taken = panics::caught_now(|| self.take_chunk(body, end, exchange));
        if taken.is_err() {
            *body = None;
            if is_unsent {
                exchange.held = held::Held::default();
            }
        }
        panics::outcome(taken, exchange)
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        exchange: &mut Exchange,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let goes_on = panics::caught_now(|| {
            Ok(exchange.errand.as_mut().is_some_and(|errand| self.not_reached(errand, &error)))
        });
        error.set_retry(panics::outcome(goes_on, exchange).unwrap_or(false));
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
        let retry = panics::caught_now(|| match &mut exchange.errand {
            // A body over its limit is so every time.
            Some(errand) if can_resend && exchange.fault.is_none() => {
                Ok(self.may_resend(errand, &error, reused))
            }
            _ => Ok(false),
        });
        let retry = panics::outcome(retry, exchange).unwrap_or(false);
        if retry {
            exchange.held = held::Held::default();
            (exchange.unpacker, exchange.packer) = (None, None);
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
        let told = panics::caught(self.tell_failure(session, error, exchange)).await;
        let told = panics::outcome(told.map(Ok), exchange);
        let sent = told.is_ok_and(|sent| sent);
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
        session: &mut Session,
        _error: Option<&Error>,
        exchange: &mut Exchange,
    ) {
        guard::answer_is_out(session);
        if let Some(log) = &self.access_log {
            log.write(&self.record(session, exchange));
        }
        exchange.errand = None;
    }
}
