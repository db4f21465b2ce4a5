//! Calls that only look: getMeetingInfo and isMeetingRunning. The meeting's server is asked once, however many
//! ask at the same time, and what it said is fresh for a moment. The answer is held whole before anybody has it,
//! so it leaves in one piece, with its length.
//!
//! These go to the server over Pingora's connector and pool, but past its proxy loop, which would take a task, two
//! channels and three more writes for each of them.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use pingora::http::ResponseHeader;
use pingora_core::protocols::http::v1::client::HttpSession;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, Result};
use pingora_proxy::Session;

use crate::bbb::call::{Call, CallName};
use crate::bbb::id::TenantId;
use crate::bbb::reply::{Format, Reply};
use crate::bbb::xml::{self, Answer, ReturnCode, Wanted};
use crate::cluster::meetings::Key;
use crate::edge;
use crate::gateway::answer::Outcome;
use crate::gateway::exchange::{Create, Errand, Exchange, Next};
use crate::gateway::peers::Use;
use crate::gateway::{Gateway, learn, upstream};
use crate::route::Forward;
use crate::route::outgoing::OutgoingBody;
use crate::state::fresh::{Ask, Question};

/// The largest answer that is held for this: a meeting of 30,000.
const READ_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What a server answered, as it is passed on.
#[derive(Debug)]
pub(crate) struct Relayed {
    /// What is kept of its header, without the length.
    pub(crate) header: ResponseHeader,
    /// The whole body.
    pub(crate) body: Bytes,
    /// What it says, for logs.
    result: Option<Cow<'static, str>>,
}

/// An answer that several clients may get.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    /// The server's.
    Relayed(Arc<Relayed>),
    /// Ours, because the server gave none.
    Reply(Reply),
}

/// A connection that may be tried again.
struct Broken {
    error: Box<Error>,
    reused: bool,
}

/// Whether a call of this name changes nothing, and its answer depends on nothing but the meeting.
pub(super) fn only_looks(name: &CallName) -> bool {
    matches!(name, CallName::GetMeetingInfo | CallName::IsMeetingRunning)
}

impl Gateway {
    /// The answer to a call that only looks.
    pub(super) async fn read(
        &self,
        session: &Session,
        exchange: &mut Exchange,
        tenant: TenantId,
        call: Call,
        to: Forward,
    ) -> Outcome {
        let meeting = Key { tenant, id: to.meeting.clone() };
        let freshness = self.freshness.of(call.name());
        let lead = loop {
            if freshness.is_zero() {
                break None;
            }
            let words = format!("{}?{}&{}", call.name().as_str(), call.query(), call.form());
            let question = Question { meeting: meeting.clone(), server: to.server, words };
            match self.fresh.ask(question, freshness, self.state.now()) {
                Ask::Told(told) => return told.noted(exchange),
                Ask::Lead(lead) => break Some(lead),
                Ask::Wait(mut told) => {
                    // An error means that who asked gave up: somebody else's turn.
                    if let Ok(told) = told.wait_for(Option::is_some).await
                        && let Some(told) = told.clone()
                    {
                        return told.noted(exchange);
                    }
                }
            }
        };
        let (server, spec) = (to.server, to.spec);
        exchange.note.server = Some(spec.name.to_string());
        let mut errand =
            Errand::new(tenant, call, Some(to.meeting), (server, spec), false, Create::No);
        // `timeouts.call` bounds each silence only, and a server that trickles would hold up all who wait.
        let longest = self.timeouts.create.max(self.timeouts.call);
        let asking = Box::pin(self.ask_server(session, exchange, &mut errand));
        let asked = tokio::time::timeout(longest, asking).await;
        match asked.unwrap_or_else(|_| Error::e_explain(ErrorType::ReadTimedout, "in all")) {
            Ok((mut relayed, answer)) => {
                exchange.note.answered(&errand, answer.as_ref(), self.state.now());
                relayed.result = exchange.note.result.clone();
                learn::from_answer(&self.state, &mut errand, answer.as_ref());
                let good = answer.is_some_and(|a| a.returncode == ReturnCode::Success);
                let told = Told::Relayed(Arc::new(relayed));
                match lead {
                    Some(lead) if good => lead.keep(told.clone(), told.bytes()),
                    Some(lead) => lead.tell(told.clone()),
                    None => {}
                }
                told.noted(exchange)
            }
            Err(error) => {
                Self::report_errand(&errand, &exchange.label, &error);
                let told = Told::Reply(Reply::fault(&errand.fault(), exchange.format));
                if let Some(lead) = lead {
                    lead.tell(told.clone());
                }
                told.noted(exchange)
            }
        }
    }

    /// Asks the server, a second time if a pooled connection turns out to be dead.
    async fn ask_server(
        &self,
        session: &Session,
        exchange: &Exchange,
        errand: &mut Errand,
    ) -> Result<(Relayed, Option<Answer>)> {
        loop {
            let Some(peer) = self.peers.peer(errand.server, Use::Call) else {
                return Error::e_explain(ErrorType::ConnectError, "its name has no address");
            };
            errand.asked = self.state.now();
            match self.exchange_once(session, exchange, errand, &peer).await {
                Ok(answer) => return Ok(answer),
                Err(Broken { error, reused }) => {
                    errand.tries += 1;
                    let unreached = errand.next == Next::MoveOn;
                    if unreached || !self.may_resend(errand, &error, reused) {
                        return Err(error);
                    }
                }
            }
        }
    }

    async fn exchange_once(
        &self,
        session: &Session,
        exchange: &Exchange,
        errand: &mut Errand,
        peer: &HttpPeer,
    ) -> std::result::Result<(Relayed, Option<Answer>), Broken> {
        let (mut http, reused) = match self.connector.get_http_session(peer).await {
            Ok(connected) => connected,
            Err(error) => {
                self.not_reached(errand, &error);
                return Err(Broken { error, reused: false });
            }
        };
        let talking = talk(&mut http, session, exchange, errand, peer);
        match talking.await {
            Ok(answer) => {
                self.connector.release_http_session(http, peer, peer.options.idle_timeout).await;
                Ok(answer)
            }
            Err(mut error) => {
                error.as_up();
                http.shutdown().await;
                Err(Broken { error, reused })
            }
        }
    }
}

/// Sends the question and reads the whole answer.
async fn talk(
    http: &mut HttpSession,
    session: &Session,
    exchange: &Exchange,
    errand: &Errand,
    peer: &HttpPeer,
) -> Result<(Relayed, Option<Answer>)> {
    const WANTED: Wanted = Wanted { fields: &[], list: None, item_fields: &[] };
    http.read_timeout = peer.options.read_timeout;
    http.write_timeout = peer.options.write_timeout;
    let mut request = Box::new(upstream::write_request(session, errand)?);
    if let Some(client) = &exchange.client {
        edge::forwarded::write(client, &mut request)?;
    }
    request.insert_header(edge::request_id::X_REQUEST_ID, &exchange.note.request_id)?;
    http.write_request_header(request).await?;
    if let OutgoingBody::Form(form) = &errand.outgoing.body {
        http.write_body(form.as_bytes()).await?;
    }
    http.finish_body().await?;
    let judged = loop {
        http.read_response().await?;
        let Some(header) = http.resp_header() else { continue };
        if !header.status.is_informational() {
            break upstream::judge(header)?;
        }
    };
    let nonsense = |why: String| Error::explain(ErrorType::Custom("nonsense"), why);
    let mut body = BytesMut::new();
    while let Some(chunk) = http.read_body_ref().await? {
        if body.len() + chunk.len() > READ_BYTES_MAX {
            return Err(nonsense("the answer is too large".to_owned()));
        }
        body.extend_from_slice(chunk);
    }
    let mut body = body.freeze();
    if let Some(mut unpacker) = judged.unpacker {
        body = unpacker.push(&body, true).map_err(|why| nonsense(why.to_string()))?;
    }
    let answer = match exchange.format {
        Format::Xml => Some(xml::read(&body, &WANTED).map_err(|why| nonsense(why.to_string()))?),
        Format::Json => None,
    };
    Ok((Relayed { header: judged.header, body, result: None }, answer))
}

impl Told {
    fn bytes(&self) -> usize {
        match self {
            Self::Relayed(relayed) => relayed.body.len() + 512,
            Self::Reply(reply) => reply.body.len(),
        }
    }

    /// The outcome that it is, written down for the log.
    fn noted(self, exchange: &mut Exchange) -> Outcome {
        match self {
            Self::Relayed(relayed) => {
                exchange.note.result = relayed.result.clone();
                Outcome::Relayed(relayed)
            }
            Self::Reply(reply) => Outcome::Reply(reply),
        }
    }
}
