//! The registry of webhooks, as bbb-webhooks keeps it (`bbb-api.md` 2.11).
//!
//! Keeps registrations only; events are sent by `webhook`.

use std::sync::Arc;

use http::header;

use crate::api::inbound::Inbound;
use crate::ids;
use crate::node::Node;
use crate::reply::Reply;
use crate::state::hook::Hook;
use crate::xml::Xml;

/// Registrations a server takes.
const HOOKS_MAX: usize = 10_000;

pub(crate) fn ping(_node: &Arc<Node>, _inbound: &Inbound) -> Reply {
    Reply::text("bbb-webhooks API up!")
}

pub(crate) fn create(node: &Arc<Node>, inbound: &Inbound) -> Reply {
    let params = &inbound.params;
    let Some(callback_url) = params.filled("callbackURL") else {
        return single_line(Reply::failed(
            "missingParamCallbackURL",
            "You must specify a callbackURL in the parameters.",
        ));
    };
    let mut state = node.state();
    let mut xml = Xml::response("SUCCESS");
    // The URL alone makes a hook, whatever its meeting.
    if let Some(hook) = state.hooks.iter().find(|hook| hook.callback_url == callback_url) {
        xml.leaf("hookID", &hook.id)
            .leaf("messageKey", "duplicateWarning")
            .leaf("message", "There is already a hook for this callback URL.");
        return single_line(Reply::xml(xml.finish()));
    }
    if state.hooks.len() >= HOOKS_MAX {
        return single_line(Reply::failed("createHookError", "Too many hooks."));
    }
    let hook = Hook {
        id: ids::hook(),
        callback_url,
        meeting: params.filled("meetingID"),
        events: params.filled("eventID").map(|events| events.to_lowercase()),
        raw: params.is_true("getRaw"),
    };
    xml.leaf("hookID", &hook.id).value("permanentHook", false).value("rawData", hook.raw);
    state.hooks.push(hook);
    single_line(Reply::xml(xml.finish()))
}

pub(crate) fn destroy(node: &Arc<Node>, inbound: &Inbound) -> Reply {
    let Some(id) = inbound.params.filled("hookID") else {
        return single_line(Reply::failed(
            "missingParamHookID",
            "You must specify a hookID in the parameters.",
        ));
    };
    let mut state = node.state();
    let before = state.hooks.len();
    state.hooks.retain(|hook| hook.id != id);
    if state.hooks.len() == before {
        let reply = Reply::failed("destroyMissingHook", "The hook informed was not found.");
        return single_line(reply);
    }
    let mut xml = Xml::response("SUCCESS");
    xml.value("removed", true);
    single_line(Reply::xml(xml.finish()))
}

pub(crate) fn list(node: &Arc<Node>, inbound: &Inbound) -> Reply {
    let wanted = inbound.params.filled("meetingID");
    let mut xml = Xml::response("SUCCESS");
    xml.open("hooks");
    for hook in &node.state().hooks {
        if wanted.is_some() && hook.meeting.is_some() && hook.meeting != wanted {
            continue;
        }
        xml.open("hook").leaf("hookID", &hook.id).raw(&cdata("callbackURL", &hook.callback_url));
        if let Some(meeting) = &hook.meeting {
            xml.raw(&cdata("meetingID", meeting));
        }
        if let Some(events) = &hook.events {
            xml.leaf("eventID", events);
        }
        xml.value("permanentHook", false).value("rawData", hook.raw).close("hook");
    }
    xml.close("hooks");
    single_line(Reply::xml(xml.finish()))
}

fn cdata(name: &str, text: &str) -> String {
    format!("<{name}><![CDATA[{text}]]></{name}>\n")
}

/// bbb-webhooks answers without white space and without a charset.
pub(crate) fn single_line(mut reply: Reply) -> Reply {
    reply.body = reply.body.replace(">\n", ">");
    reply.headers.retain(|(name, _)| name != header::CONTENT_TYPE);
    reply.with(header::CONTENT_TYPE, "text/xml")
}
