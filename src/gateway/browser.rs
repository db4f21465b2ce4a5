//! The cluster proxy: what browsers fetch of a server goes through as it is, WebSockets included. `route::browser`
//! says which paths those are; nothing of an answer is read or kept here.

use std::sync::Arc;

use http::{Method, StatusCode, Version, header};
use pingora::http::RequestHeader;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, Result};
use pingora_proxy::Session;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::cluster::server::{Mode, ServerId, ServerSpec};
use crate::config::settings::ClusterProxy;
use crate::edge;
use crate::gateway::Gateway;
use crate::gateway::answer::Outcome;
use crate::gateway::exchange::Exchange;
use crate::gateway::peers::Use;
use crate::gateway::request::Head;
use crate::route::browser::{self, Part};

/// WebSockets that are open at the same time; each takes two connections.
const WEBSOCKETS_MAX: usize = 20_000;
/// The largest body for the client's own server; it sends only short messages (sockjs of 2.x without WebSocket).
const BODY_BYTES_MAX: u64 = 1024 * 1024;

/// What the cluster proxy counts.
#[derive(Clone)]
pub(crate) struct Browsers {
    mode: ClusterProxy,
    websockets: Arc<Semaphore>,
}

/// A browser's request on its way to a server.
pub(crate) struct Visit {
    server: ServerId,
    spec: Arc<ServerSpec>,
    /// Path and query as the server gets them.
    target: String,
    /// Its place among the WebSockets, if it is to become one.
    websocket: Option<OwnedSemaphorePermit>,
}

impl Browsers {
    pub(crate) fn new(mode: ClusterProxy) -> Self {
        Self { mode, websockets: Arc::new(Semaphore::new(WEBSOCKETS_MAX)) }
    }

    /// In another mode; who is counted stays so.
    pub(crate) fn renewed(&self, mode: ClusterProxy) -> Self {
        Self { mode, websockets: self.websockets.clone() }
    }
}

/// Whether the client wants a WebSocket. Over HTTP/2 nobody gets one: browsers then use HTTP/1 for it.
pub(crate) fn wants_websocket(request: &RequestHeader) -> bool {
    let value = request.headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    request.version == Version::HTTP_11
        && request.method == Method::GET
        && value.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// Whether the request line has a path. Pingora takes the path out of an absolute URI, so this looks at what came.
fn names_path(session: &Session) -> bool {
    let Some(http1) = session.as_ref().as_http1() else { return true };
    let raw = http1.get_headers_raw_bytes();
    raw.split(|byte| *byte == b' ').nth(1).is_some_and(|target| target.starts_with(b"/"))
}

impl Gateway {
    /// What becomes of a request that is no call. `None`: it is none of a browser's either.
    pub(crate) fn visit(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        head: &Head,
    ) -> Option<Result<Outcome>> {
        if self.browsers.mode == ClusterProxy::Off {
            return None;
        }
        let request = session.req_header();
        let (name, part) = browser::target(&head.path).filter(|_| names_path(session))?;
        let (server, spec) = {
            let cluster = self.state.cluster();
            let mut members = cluster.members();
            let (id, member) = members
                .find(|(_, member)| member.spec.name == name && member.mode != Mode::Disable)?;
            (id, member.spec.clone())
        };
        exchange.label = "browser".to_owned();
        let takes = match (part, &request.method) {
            (_, &Method::GET | &Method::HEAD | &Method::OPTIONS) => !head.has_body,
            (Part::Client, &Method::POST) => true,
            _ => false,
        };
        if !takes {
            return Some(Ok(Outcome::Empty(StatusCode::METHOD_NOT_ALLOWED)));
        }
        let path = match part {
            Part::Client => head.path.clone(),
            Part::Index => spec.url.path.clone() + if head.path.ends_with('/') { "/" } else { "" },
        };
        let target = if head.query.is_empty() { path } else { format!("{path}?{}", head.query) };
        let websocket = if part == Part::Client && exchange.wants_websocket {
            let Ok(permit) = self.browsers.websockets.clone().try_acquire_owned() else {
                return Some(Ok(Outcome::Empty(StatusCode::SERVICE_UNAVAILABLE)));
            };
            if let Err(why) = open(session, exchange) {
                return Some(Err(why));
            }
            Some(permit)
        } else {
            exchange.body_bytes_max = BODY_BYTES_MAX;
            None
        };
        exchange.visit = Some(Visit { server, spec, target, websocket });
        Some(Ok(Outcome::Forward))
    }

    /// Where a visit goes: over connections that no call ever uses.
    pub(crate) fn peer_of_visit(&self, visit: &Visit) -> Result<Box<HttpPeer>> {
        let Some(mut peer) = self.peers.peer(visit.server, Use::Browser) else {
            return Error::e_explain(ErrorType::ConnectError, "the server's name has no address");
        };
        if visit.websocket.is_some() {
            // Both sides may be silent for as long as they like; who is gone is found by TCP's own probes.
            peer.options.read_timeout = None;
            peer.options.write_timeout = None;
        }
        Ok(peer)
    }
}

/// Prepares a connection that stays open.
fn open(session: &mut Session, exchange: &mut Exchange) -> Result<()> {
    exchange.body_bytes_max = u64::MAX;
    session.as_mut().set_read_timeout(None);
    let request = session.req_header_mut();
    request.insert_header(header::CONNECTION, "Upgrade")?;
    request.insert_header(header::UPGRADE, "websocket")
}

/// The request as the server gets it: as the browser sent it, but for where it goes and who sent it.
pub(crate) fn write_request(
    visit: &Visit,
    client: Option<&edge::client::Client>,
    request: &mut RequestHeader,
) -> Result<()> {
    request.set_raw_path(visit.target.as_bytes())?;
    request.insert_header(header::HOST, visit.spec.url.authority())?;
    match client {
        Some(client) => edge::forwarded::write(client, request),
        None => Ok(()),
    }
}
