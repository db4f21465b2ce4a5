//! The calls of BBB's API: which there are, who may call them how, and what guards them.
//!
//! Refuses I/O: a call gets a request and the server's state and gives an answer.

use std::sync::Arc;

use http::{Method, StatusCode};

use crate::api::inbound::Inbound;
use crate::config::Profile;
use crate::node::Node;
use crate::reply::Reply;

pub(crate) mod client;
pub(crate) mod create;
pub(crate) mod documents;
pub(crate) mod guard;
pub(crate) mod hooks;
pub(crate) mod inbound;
pub(crate) mod index;
pub(crate) mod info;
pub(crate) mod join;
pub(crate) mod meeting;
pub(crate) mod recordings;
pub(crate) mod session;
pub(crate) mod tracks;

/// What has to be right before a call is processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Checksum, with the messages of most calls.
    Checksum,
    /// Checksum, with the messages of the recording calls; 2.x never rebuilds a form body here.
    Recording,
    /// Checksum, as bbb-webhooks reports it.
    Hook,
    /// Nothing, or a session token that the call looks at itself.
    Open,
}

/// Which bodies a 3.0 server takes (`bbb-api.md` 1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bodies {
    Any,
    Form,
    FormOrXml,
    ApplicationXml,
}

/// One call.
pub(crate) struct Route {
    name: &'static str,
    gate: Gate,
    bodies: Bodies,
    /// Allowed methods on 2.7 and on 3.0; empty: the release does not have the call.
    methods: [&'static [Method]; 2],
    process: fn(&Arc<Node>, &Inbound) -> Reply,
}

const GET: &[Method] = &[Method::GET];
const POST: &[Method] = &[Method::POST];
const BOTH: &[Method] = &[Method::GET, Method::POST];
const NONE: &[Method] = &[];

#[rustfmt::skip]
const ROUTES: &[Route] = &[
    Route { name: "create", gate: Gate::Checksum, bodies: Bodies::FormOrXml, methods: [BOTH, BOTH], process: create::create },
    Route { name: "join", gate: Gate::Checksum, bodies: Bodies::Form, methods: [BOTH, GET], process: join::join },
    Route { name: "isMeetingRunning", gate: Gate::Checksum, bodies: Bodies::Form, methods: [BOTH, BOTH], process: meeting::is_running },
    Route { name: "end", gate: Gate::Checksum, bodies: Bodies::Form, methods: [BOTH, BOTH], process: meeting::end },
    Route { name: "getMeetingInfo", gate: Gate::Checksum, bodies: Bodies::Form, methods: [BOTH, BOTH], process: info::meeting_info },
    Route { name: "getMeetings", gate: Gate::Checksum, bodies: Bodies::Form, methods: [BOTH, BOTH], process: info::meetings },
    Route { name: "getSessions", gate: Gate::Checksum, bodies: Bodies::Form, methods: [BOTH, BOTH], process: info::sessions },
    Route { name: "insertDocument", gate: Gate::Checksum, bodies: Bodies::ApplicationXml, methods: [POST, POST], process: documents::insert },
    Route { name: "sendChatMessage", gate: Gate::Checksum, bodies: Bodies::Form, methods: [NONE, GET], process: meeting::send_chat_message },
    Route { name: "getRecordings", gate: Gate::Recording, bodies: Bodies::Form, methods: [BOTH, BOTH], process: recordings::get },
    Route { name: "publishRecordings", gate: Gate::Recording, bodies: Bodies::Form, methods: [GET, GET], process: recordings::publish },
    Route { name: "deleteRecordings", gate: Gate::Recording, bodies: Bodies::Form, methods: [GET, GET], process: recordings::delete },
    Route { name: "updateRecordings", gate: Gate::Recording, bodies: Bodies::Form, methods: [BOTH, BOTH], process: recordings::update },
    Route { name: "getRecordingTextTracks", gate: Gate::Recording, bodies: Bodies::Form, methods: [BOTH, BOTH], process: tracks::get },
    Route { name: "putRecordingTextTrack", gate: Gate::Recording, bodies: Bodies::Form, methods: [POST, POST], process: tracks::put },
    Route { name: "hooks/create", gate: Gate::Hook, bodies: Bodies::Any, methods: [GET, GET], process: hooks::create },
    Route { name: "hooks/list", gate: Gate::Hook, bodies: Bodies::Any, methods: [GET, GET], process: hooks::list },
    Route { name: "hooks/destroy", gate: Gate::Hook, bodies: Bodies::Any, methods: [GET, GET], process: hooks::destroy },
    Route { name: "hooks/ping", gate: Gate::Open, bodies: Bodies::Any, methods: [GET, GET], process: hooks::ping },
    Route { name: "enter", gate: Gate::Open, bodies: Bodies::Any, methods: [BOTH, NONE], process: session::enter },
    Route { name: "stuns", gate: Gate::Open, bodies: Bodies::Any, methods: [BOTH, BOTH], process: session::stuns },
    Route { name: "signOut", gate: Gate::Open, bodies: Bodies::Any, methods: [BOTH, BOTH], process: session::sign_out },
    Route { name: "getJoinUrl", gate: Gate::Open, bodies: Bodies::Any, methods: [BOTH, BOTH], process: session::join_url },
];

fn route(call: &str) -> Option<&'static Route> {
    ROUTES.iter().find(|route| route.name == call)
}

/// The answer to a request.
pub(crate) fn process(node: &Arc<Node>, inbound: &Inbound) -> Reply {
    match inbound.call.as_str() {
        "index" => return index::index(node, inbound),
        "rtt-check" | "client" | "start-page" => return client::page_of(node, inbound),
        _ => {}
    }
    let Some(route) = route(&inbound.call) else {
        return Reply::grails(StatusCode::NOT_FOUND);
    };
    let release = match node.config.profile {
        Profile::V27 => 0,
        Profile::V30 => 1,
    };
    let methods = route.methods[release];
    if methods.is_empty() {
        return Reply::grails(StatusCode::NOT_FOUND);
    }
    let asked = if inbound.method == Method::HEAD { &Method::GET } else { &inbound.method };
    if !methods.contains(asked) {
        return Reply::grails(StatusCode::METHOD_NOT_ALLOWED);
    }
    match guard::refuse(node, route.gate, route.bodies, inbound) {
        Some((key, message)) if inbound.call == "join" => {
            join::redirect_error(node, inbound, None, key, message)
        }
        Some((key, message)) if inbound.call == "putRecordingTextTrack" => {
            tracks::refuse(inbound, key, message)
        }
        Some((key, message)) if route.gate == Gate::Hook => {
            hooks::single_line(Reply::failed(key, message))
        }
        Some((key, message)) => Reply::failed(key, message),
        None => (route.process)(node, inbound),
    }
}
