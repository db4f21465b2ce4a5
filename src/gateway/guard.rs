//! Where requests meet `edge::guard`: what is counted for whom, and what those are told who ask too much.

use std::time::Duration;

use http::StatusCode;
use pingora_core::{Error, ErrorType, Result};
use pingora_proxy::Session;

use crate::bbb::call::CallName;
use crate::bbb::fault::Fault;
use crate::bbb::reply::Reply;
use crate::edge::connection;
use crate::edge::guard::{Guard, Reason};
use crate::gateway::Gateway;
use crate::gateway::answer::Outcome;
use crate::gateway::exchange::Exchange;

/// How late wrong checksums are answered once there are too many.
const LATE_BY: Duration = Duration::from_secs(1);
/// The slowest body that is waited for.
const BODY_BYTES_PER_SECOND: u64 = 2048;

const TOO_MANY: &str = "Too many requests from your address. Please try again in a minute.\n";

impl Gateway {
    /// With a guard that others share.
    pub fn with_guard(mut self, guard: std::sync::Arc<Guard>) -> Self {
        self.guard = guard;
        self
    }

    /// The header of a request is complete.
    pub(crate) fn header_is_here(&self, session: &mut Session) {
        if let Some(phase) = connection::phase(session.digest()) {
            phase.begin();
        }
        // Pingora would keep it without end, and knows only whole seconds.
        session.set_keepalive(Some(self.guard.settings().idle_time.as_secs().max(1)));
    }

    /// Whether its sender may send this request, too.
    pub(crate) fn allows(&self, exchange: &Exchange, name: Option<&CallName>) -> bool {
        let Some(client) = &exchange.client else { return true };
        let now = self.guard.now();
        let allowed = self.guard.allows(client.address, now);
        if !allowed {
            let call = name.map_or("", CallName::label);
            self.guard.tell(Reason::Rate, client.address, call, now);
        }
        allowed
    }

    /// What is said to those who may not: in BBB's form where BBB would answer.
    pub(crate) fn too_many(exchange: &mut Exchange, name: Option<&CallName>) -> Outcome {
        let Some(name) = name else {
            return Outcome::Text(StatusCode::TOO_MANY_REQUESTS, TOO_MANY.into());
        };
        name.label().clone_into(&mut exchange.label);
        Outcome::Reply(Reply::fault(&Fault::too_many_requests(), name.format()))
    }

    /// Counts wrong checksums, and waits before they are answered if there are too many.
    pub(crate) async fn look_at(&self, exchange: &Exchange, outcome: &Outcome) {
        let Outcome::Reply(Reply { key: Some("checksumError"), .. }) = outcome else { return };
        let Some(client) = &exchange.client else { return };
        let now = self.guard.now();
        self.guard.tell(Reason::Checksum, client.address, &exchange.label, now);
        if self.guard.failed(client.address, now)
            && let Some(_held) = self.guard.hold_back()
        {
            tokio::time::sleep(LATE_BY).await;
        }
    }

    /// A request was refused because of its header. One that is only too large may be a browser with many cookies.
    pub(crate) fn refused_by_header(&self, exchange: &Exchange, fault: &Fault) {
        if let Some(client) = &exchange.client
            && *fault == Fault::malformed_request()
        {
            self.guard.tell(Reason::Malformed, client.address, "", self.guard.now());
        }
    }

    /// Whether the body that is going on to a server comes fast enough.
    pub(crate) fn body_in_time(&self, exchange: &mut Exchange) -> Result<()> {
        let now = self.guard.now();
        let began = *exchange.body_began.get_or_insert(now);
        let earned = Duration::from_secs(exchange.body_bytes / BODY_BYTES_PER_SECOND);
        if now.since(began) <= self.guard.settings().body_time + earned {
            return Ok(());
        }
        if let Some(client) = &exchange.client {
            self.guard.tell(Reason::Slow, client.address, &exchange.label, now);
        }
        exchange.fault = Some(Fault::request_incomplete());
        Error::e_explain(ErrorType::HTTPStatus(408), "the request body came too slowly")
    }
}

/// A request has ended, and its connection may wait for the next one.
pub(crate) fn answer_is_out(session: &Session) {
    // With HTTP/2 others may be under way; Pingora counts how long such a connection is idle.
    if session.is_http2() {
        return;
    }
    if let Some(phase) = connection::phase(session.digest()) {
        phase.end();
    }
}
