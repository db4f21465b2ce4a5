//! One request on its way through: what was decided for it and how far it got.

use std::sync::Arc;

use bytes::Bytes;

use crate::bbb::call::Call;
use crate::bbb::fault::Fault;
use crate::bbb::id::{MeetingId, TenantId};
use crate::bbb::reply::Format;
use crate::cluster::moment::Moment;
use crate::cluster::server::{ServerId, ServerSpec};
use crate::edge::client::Client;
use crate::gateway::body::Taken;
use crate::gateway::gzip::{Packer, Unpacker};
use crate::gateway::held::Held;
use crate::gateway::peers::Use;
use crate::gateway::request::Head;
use crate::route::outgoing::{self, Outgoing};
use crate::state::claims::{ClaimGuard, RepeatGuard};
use crate::state::in_flight;

/// Pingora's per-request context.
#[derive(Default)]
pub struct Exchange {
    /// A name for the call that is safe in logs.
    pub(crate) label: String,
    /// Who sent it; `None` before its header was read.
    pub(crate) client: Option<Client>,
    /// What the call is answered in.
    pub(crate) format: Format,
    /// The most bytes of body that may come.
    pub(crate) body_bytes_max: u64,
    /// How many came.
    pub(crate) body_bytes: u64,
    /// Reads the answer, if the server compressed it.
    pub(crate) unpacker: Option<Unpacker>,
    /// Compresses the answer, if the client wants it so.
    pub(crate) packer: Option<Packer>,
    /// The answer as far as it was kept.
    pub(crate) held: Held,
    /// The request, if it has a body of which some may not have been read when it is answered.
    pub(crate) unread: Option<Head>,
    /// Its part of the room for bodies.
    pub(crate) room: Option<Taken>,
    /// What is forwarded; `None` if the answer is given here.
    pub(crate) errand: Option<Errand>,
    /// What to tell the client, if something better is known than that the server failed.
    pub(crate) fault: Option<Fault>,
    /// A stop waits for it.
    pub(crate) _in_flight: Option<in_flight::Guard>,
}

impl Exchange {
    /// `body` as the client was told that it comes.
    pub(crate) fn pack(&mut self, body: Bytes, end: bool) -> Bytes {
        match &mut self.packer {
            Some(packer) => packer.push(&body, end),
            None => body,
        }
    }
}

/// A call on its way to a server.
pub(crate) struct Errand {
    pub(crate) tenant: TenantId,
    pub(crate) call: Call,
    /// The meeting it is about, unless it is about a recording.
    pub(crate) meeting: Option<MeetingId>,
    pub(crate) server: ServerId,
    pub(crate) spec: Arc<ServerSpec>,
    pub(crate) outgoing: Outgoing,
    /// Whether the client sends a body that goes on as it comes.
    pub(crate) has_body: bool,
    /// When it was sent; answers are as old as their question.
    pub(crate) asked: Moment,
    pub(crate) create: Create,
    /// For a create: since when the meeting counted as running, if it did.
    pub(crate) running_since: Option<u64>,
    /// How often it was sent.
    pub(crate) tries: u8,
    /// What has to be done before it is sent (again).
    pub(crate) next: Next,
}

/// Whether the call makes a meeting.
pub(crate) enum Create {
    /// It does not.
    No,
    /// It does, and holds the claim.
    Claimed(ClaimGuard),
    /// It repeats a create whose meeting exists or may exist.
    Repeated(RepeatGuard),
    /// It did, and the outcome is known.
    Settled,
}

/// What has to be done before an errand is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing.
    Send,
    /// The server may have made the meeting: ask it.
    Inquire,
    /// The server made nothing: another one, if the call may go to another one.
    MoveOn,
}

impl Errand {
    pub(crate) fn new(
        tenant: TenantId,
        call: Call,
        meeting: Option<MeetingId>,
        to: (ServerId, Arc<ServerSpec>),
        has_body: bool,
        create: Create,
    ) -> Self {
        let (server, spec) = to;
        let outgoing = outgoing::write(&call, &spec, has_body);
        Self {
            tenant,
            call,
            meeting,
            server,
            spec,
            outgoing,
            has_body,
            asked: Moment(0),
            create,
            running_since: None,
            tries: 0,
            next: Next::Send,
        }
    }

    /// Sends it to another server instead.
    pub(crate) fn retarget(&mut self, server: ServerId, spec: Arc<ServerSpec>) {
        self.outgoing = outgoing::write(&self.call, &spec, self.has_body);
        self.server = server;
        self.spec = spec;
    }

    /// The server has the meeting that the create was in doubt about: it must not go anywhere else now.
    pub(crate) fn found(&mut self) {
        self.create = match std::mem::replace(&mut self.create, Create::Settled) {
            Create::Claimed(guard) => Create::Repeated(guard.found()),
            other @ (Create::Repeated(_) | Create::Settled | Create::No) => other,
        };
    }

    pub(crate) fn is_create(&self) -> bool {
        !matches!(self.create, Create::No)
    }

    /// What kind of connection it needs.
    pub(crate) fn purpose(&self) -> Use {
        if self.is_create() {
            Use::Create
        } else if self.call.name().only_asks() {
            Use::Call
        } else {
            Use::Once
        }
    }

    /// What the client is told if no usable answer comes.
    pub(crate) fn fault(&self) -> Fault {
        if self.is_create() { Fault::create_failed() } else { Fault::meeting_unreachable() }
    }
}
