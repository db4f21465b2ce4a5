//! When a call is sent again, and where. A create goes to another server only if it is certain that the one
//! before made nothing; in doubt that one is asked first (design rule 2).

use std::sync::Arc;
use std::time::Duration;

use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorSource, ErrorType, Result};

use crate::bbb::id::MeetingId;
use crate::bbb::query;
use crate::bbb::xml::{self, ReturnCode, Wanted};
use crate::cluster::health::Health;
use crate::cluster::server::{Mode, ServerId, ServerSpec};
use crate::gateway::Gateway;
use crate::gateway::exchange::{Create, Errand, Exchange, Next};
use crate::gateway::peers::Use;
use crate::state::events::Kind;

/// How often one call is sent at most.
const TRIES_MAX: u8 = 4;
/// How long a server that may have made a meeting has to say whether it did.
const INQUIRY_DEADLINE: Duration = Duration::from_secs(3);

/// What a server says about a meeting that it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has it.
    Made,
    /// It does not have it.
    NotMade,
    /// It does not say.
    Unknown,
}

impl Gateway {
    /// The server's address and secret, unless calls to it are known to be in vain.
    pub(super) fn usable(&self, server: ServerId) -> Option<Arc<ServerSpec>> {
        let cluster = self.state.cluster();
        let member = cluster.member(server)?;
        let usable = member.mode != Mode::Disable && member.pulse.health() != Health::Down;
        usable.then(|| member.spec.clone())
    }

    /// Where the errand goes now.
    pub(super) async fn next_peer(&self, errand: &mut Errand) -> Result<Box<HttpPeer>> {
        let purpose = errand.purpose();
        loop {
            match std::mem::replace(&mut errand.next, Next::Send) {
                Next::Send => {}
                Next::MoveOn if self.next_server(errand).await => {}
                Next::MoveOn => {
                    return Error::e_explain(ErrorType::ConnectError, "no other server");
                }
                Next::Inquire => match self.inquire(errand.server, errand.meeting.as_ref()).await {
                    // Sent again, the create is answered as BBB answers a repeated one.
                    Verdict::Made => errand.found(),
                    // Another server, or the same one again if there is none.
                    Verdict::NotMade => {
                        self.next_server(errand).await;
                    }
                    Verdict::Unknown => {
                        return Error::e_explain(ErrorType::ConnectError, "a create is in doubt");
                    }
                },
            }
            if let Some(peer) = self.peers.peer(errand.server, purpose) {
                return Ok(peer);
            }
            // Its name has no address: nothing can be sent to it.
            errand.next = Next::MoveOn;
        }
    }

    /// The server could not be connected to: nothing was sent. True if the errand may go on elsewhere.
    pub(super) fn not_reached(&self, errand: &mut Errand, error: &Error) -> bool {
        self.peers.try_next_address(errand.server);
        if let Some(change) = self.state.refused(errand.server) {
            let name = &errand.spec.name;
            let why = error.etype().as_str();
            log::warn!(
                "server is avoided: no connection; server={name} health={} reason={why}",
                change.to
            );
            self.state.note(Kind::Health, name.as_str(), format!("is {}: {why}", change.to));
        }
        errand.next = Next::MoveOn;
        matches!(errand.create, Create::Claimed(_))
    }

    /// Moves a claimed create on to a server that was not tried; anything else stays where its meeting is.
    async fn next_server(&self, errand: &mut Errand) -> bool {
        let Create::Claimed(guard) = &mut errand.create else { return false };
        let Some(server) = guard.next_server().await else { return false };
        let spec = self.state.cluster().member(server).map(|member| member.spec.clone());
        let Some(spec) = spec else { return false };
        errand.retarget(server, spec);
        true
    }

    /// The connection failed after something was sent, or the answer is none. True if the errand may be sent
    /// again, after what `errand.next` says.
    pub(super) fn may_resend(&self, errand: &mut Errand, error: &Error, reused: bool) -> bool {
        if *error.esource() == ErrorSource::Downstream || errand.tries >= TRIES_MAX {
            return false;
        }
        self.state.probe_soon(errand.server);
        if errand.is_create() {
            // After silence the server may still be working on it: no answer would be final.
            let silent =
                matches!(error.etype(), ErrorType::ReadTimedout | ErrorType::WriteTimedout);
            errand.next = Next::Inquire;
            return !silent;
        }
        // A pooled connection that the server had closed. Calls that change something are never on one: what
        // became of them is unknown, and an `end` sent again may hit a meeting that was made meanwhile.
        reused
            && errand.purpose() == Use::Call
            && errand.tries < 2
            && !matches!(error.etype(), ErrorType::HTTPStatus(_))
    }

    /// Asks `server` whether it has the meeting.
    pub(super) async fn inquire(&self, server: ServerId, meeting: Option<&MeetingId>) -> Verdict {
        const WANTED: Wanted = Wanted { fields: &[], list: None, item_fields: &[] };
        let Some(meeting) = meeting else { return Verdict::Unknown };
        let query = format!("meetingID={}", query::encode(meeting.as_str()));
        let answer = self.client.call(server, "getMeetingInfo", &query, INQUIRY_DEADLINE).await;
        match answer.ok().and_then(|body| xml::read(&body, &WANTED).ok()) {
            Some(answer) if answer.returncode == ReturnCode::Success => Verdict::Made,
            Some(answer) if answer.failed_with("notFound") => Verdict::NotMade,
            _ => Verdict::Unknown,
        }
    }

    /// Says once, in words without a URI, that a call got no answer from its server.
    pub(super) fn report(exchange: &Exchange, error: &Error) {
        let Some(errand) = &exchange.errand else { return };
        if *error.esource() == ErrorSource::Downstream {
            log::debug!("client went away; call={}", exchange.label);
            return;
        }
        Self::report_errand(errand, &exchange.label, error);
    }

    /// The same of an errand that is not the exchange's.
    pub(super) fn report_errand(errand: &Errand, call: &str, error: &Error) {
        let reason = if let ErrorType::HTTPStatus(status) = error.etype() {
            format!("HTTP status {status}")
        } else {
            error.etype().as_str().to_owned()
        };
        let (server, tries) = (&errand.spec.name, errand.tries);
        log::warn!("call got no answer; call={call} server={server} tries={tries} reason={reason}");
    }
}
