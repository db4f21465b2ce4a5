//! Callbacks on the API's listener: where servers post them, and the create that leads them here. What a
//! callback must look like is decided in `callback`; how it goes on is for `state::outbox` and `services`.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use pingora_core::Result;
use pingora_proxy::Session;
use tokio::sync::Semaphore;

use crate::bbb::call::Call;
use crate::bbb::id::{MeetingId, TenantId};
use crate::callback;
use crate::callback::envelope::Envelope;
use crate::callback::receive::{self, Arrived, Refusal};
use crate::callback::rewrite;
use crate::callback::seal::{Destination, Sealer};
use crate::callback::{Kind, PATH, target};
use crate::clock;
use crate::cluster::server::ServerSpec;
use crate::gateway::Gateway;
use crate::gateway::request::Head;
use crate::hook::{Hook, event};
use crate::state::hooks::Hooks;
use crate::state::outbox::{Outbox, Taken};

/// Of all callbacks that are being taken, in KiB: what they announce, and something for each.
const TAKEN_KIB_MAX: usize = 64 * 1024;
const TAKEN_KIB_EACH: usize = 64;
/// How long a body may take to come.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// What the gateway needs to pass callbacks on.
pub struct Callbacks {
    pub(super) outbox: Arc<Outbox>,
    pub(super) hooks: Arc<Hooks>,
    /// What servers call tinyscale.
    pub(super) public_url: String,
    room: Semaphore,
}

impl Callbacks {
    /// Callbacks to `public_url` go to `outbox`, and events of `hooks` too.
    pub fn new(outbox: Arc<Outbox>, hooks: Arc<Hooks>, public_url: &str) -> Self {
        let room = Semaphore::new(TAKEN_KIB_MAX);
        Self { outbox, hooks, public_url: public_url.to_owned(), room }
    }
}

impl Gateway {
    /// Passes callbacks on; without, they are left to servers and front ends.
    #[must_use]
    pub fn with_callbacks(self, callbacks: Option<Callbacks>) -> Self {
        Self { callbacks: callbacks.map(Arc::new), ..self }
    }

    /// A create with tinyscale's callback URLs in place of the front end's.
    pub(super) fn with_own_urls(&self, call: Call, meeting: &MeetingId) -> Call {
        let Some(callbacks) = &self.callbacks else { return call };
        let keyring = callbacks.outbox.keyring();
        match keyring.of(&call.secret().clone()) {
            Some(sealer) => rewrite::rewrite(call, meeting, sealer, &callbacks.public_url),
            None => call,
        }
    }

    /// What to answer a request to a callback URL.
    pub(super) async fn callback(&self, session: &mut Session, head: &Head) -> Result<StatusCode> {
        let status = self.take_callback(session, head).await?;
        if !status.is_success() {
            // Whoever it was may have more of a body to send.
            session.set_keepalive(None);
        }
        Ok(status)
    }

    async fn take_callback(&self, session: &mut Session, head: &Head) -> Result<StatusCode> {
        let token = callback::token_of(&head.path).unwrap_or_default();
        let Some(callbacks) = &self.callbacks else { return Ok(StatusCode::NOT_FOUND) };
        let keyring = callbacks.outbox.keyring();
        let Some((sealer, to)) = keyring.open_token(token) else {
            return Ok(StatusCode::NOT_FOUND);
        };
        // Some look whether a URL is there before they call it.
        if session.req_header().method == http::Method::HEAD {
            return Ok(StatusCode::OK);
        }
        let kib = TAKEN_KIB_EACH + announced(session, to.kind.body_bytes_max()) / 1024;
        let kib = u32::try_from(kib).unwrap_or(u32::MAX);
        let Ok(_room) = callbacks.room.try_acquire_many(kib) else {
            return Ok(StatusCode::SERVICE_UNAVAILABLE);
        };
        let body = match read_body(session, to.kind.body_bytes_max()).await? {
            Ok(body) => body,
            Err(status) => return Ok(status),
        };
        let url = format!("{}{PATH}{token}", callbacks.public_url);
        let envelope = match self.believe(callbacks, session, (sealer, &to), &url, body) {
            Ok(envelope) => envelope,
            Err(refusal) => {
                log::warn!("callback refused; kind={} reason={refusal:?}", to.kind.name());
                return Ok(match refusal {
                    Refusal::Unsigned => StatusCode::UNAUTHORIZED,
                    Refusal::Malformed => StatusCode::BAD_REQUEST,
                    Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
                });
            }
        };
        if is_of_destroyed_hook(callbacks, sealer, &to) {
            return Ok(StatusCode::OK);
        }
        Ok(match callbacks.outbox.take(envelope, &sealer.secret).await {
            // Servers of 2.x insist on exactly this.
            Taken::Yes => StatusCode::OK,
            Taken::NotSafely => StatusCode::SERVICE_UNAVAILABLE,
            Taken::Full => {
                log::error!("callback turned away: too many wait; kind={}", to.kind.name());
                StatusCode::SERVICE_UNAVAILABLE
            }
        })
    }

    fn believe(
        &self,
        callbacks: &Callbacks,
        session: &Session,
        (sealer, to): (&Sealer, &Destination),
        url: &str,
        body: Bytes,
    ) -> std::result::Result<Envelope, Refusal> {
        let header = session.req_header();
        let text = |name: http::HeaderName| {
            header.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        let is_post = match header.method {
            http::Method::GET => false,
            http::Method::POST => true,
            _ => return Err(Refusal::Method),
        };
        let arrived = Arrived {
            is_post,
            query: header.uri.query().unwrap_or_default(),
            content_type: text(http::header::CONTENT_TYPE),
            user_agent: text(http::header::USER_AGENT),
            authorization: text(http::header::AUTHORIZATION),
            body,
        };
        let specs: Vec<Arc<ServerSpec>> =
            self.state.servers().into_iter().map(|(_, spec)| spec).collect();
        if to.kind == Kind::Hook {
            let (hook, server) = Hook::read(sealer.tenant, to).ok_or(Refusal::Malformed)?;
            let spec = specs.iter().find(|spec| spec.name.as_str() == server);
            let secret = &spec.ok_or(Refusal::Unsigned)?.secret;
            let domain = target::authority(&callbacks.public_url);
            return event::receive(&hook, &arrived, url, secret, &domain, clock::unix_s());
        }
        let servers = specs.iter().map(|spec| (spec.name.as_str(), &spec.secret));
        let mut envelope = receive::receive(to, arrived, servers, clock::unix_s())?;
        envelope.instance = self.instance(sealer.tenant, to);
        Ok(envelope)
    }

    /// Which of several meetings of one ID a callback is about.
    fn instance(&self, tenant: TenantId, to: &Destination) -> Option<String> {
        if !matches!(to.kind, Kind::EndCallback | Kind::MeetingEnded) {
            return None;
        }
        let id = MeetingId::new(&to.about)?;
        let cluster = self.state.cluster();
        let internal = cluster.find(tenant, &id)?.internal.as_ref()?;
        Some(internal.as_str().to_owned())
    }
}

/// How many bytes of body may come.
fn announced(session: &Session, bytes_max: usize) -> usize {
    let length = session.req_header().headers.get(http::header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    length.map_or(bytes_max, |length| length.min(bytes_max))
}

/// Servers may not know yet; what they still send is for nobody.
fn is_of_destroyed_hook(callbacks: &Callbacks, sealer: &Sealer, to: &Destination) -> bool {
    let hook = Hook::read(sealer.tenant, to);
    hook.is_some_and(|(hook, _)| callbacks.hooks.registry().is_gone(hook.tenant, hook.id))
}

/// The whole body, or what to answer instead.
async fn read_body(
    session: &mut Session,
    bytes_max: usize,
) -> Result<std::result::Result<Bytes, StatusCode>> {
    if session.is_body_empty() {
        return Ok(Ok(Bytes::new()));
    }
    let header = session.req_header();
    let expects = header.headers.get(http::header::EXPECT);
    if expects.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        session.as_mut().write_continue_response().await?;
    }
    let reading = async {
        let mut body = BytesMut::new();
        while let Ok(chunk) = session.as_mut().read_request_body().await {
            let Some(chunk) = chunk else { return Ok(body.freeze()) };
            if body.len() + chunk.len() > bytes_max {
                return Err(StatusCode::PAYLOAD_TOO_LARGE);
            }
            body.extend_from_slice(&chunk);
        }
        Err(StatusCode::BAD_REQUEST)
    };
    let read = tokio::time::timeout(BODY_DEADLINE, reading).await;
    Ok(read.unwrap_or(Err(StatusCode::REQUEST_TIMEOUT)))
}
