//! `isMeetingRunning`, `end` and `sendChatMessage` (`bbb-api.md` 2.4, 2.5, 2.9).
//!
//! Refuses `notFound` where BBB does: an unknown meeting is simply not running.

use std::sync::Arc;

use http::header;

use crate::api::create::{MEETING_ID_MISSING, check_meeting_id, utf16_len};
use crate::api::guard::Failure;
use crate::api::inbound::Inbound;
use crate::node::Node;
use crate::reply::Reply;
use crate::xml::Xml;

pub(crate) const NOT_FOUND: Failure = ("notFound", "A meeting with that ID does not exist");

/// The `meetingID` of a call, checked.
pub(crate) fn meeting_id(inbound: &Inbound) -> Result<String, Failure> {
    let id = inbound.params.filled("meetingID").ok_or(MEETING_ID_MISSING)?;
    check_meeting_id(&id).map(|()| id)
}

pub(crate) fn is_running(node: &Arc<Node>, inbound: &Inbound) -> Reply {
    let id = match meeting_id(inbound) {
        Ok(id) => id,
        Err((key, message)) => return Reply::failed(key, message),
    };
    let running = node.state().meeting(&id).is_some_and(|meeting| !meeting.users.is_empty());
    let mut xml = Xml::response("SUCCESS");
    xml.value("running", running);
    Reply::xml(xml.finish()).with(header::CACHE_CONTROL, "no-cache")
}

pub(crate) fn end(node: &Arc<Node>, inbound: &Inbound) -> Reply {
    let id = match meeting_id(inbound) {
        Ok(id) => id,
        Err((key, message)) => return Reply::failed(key, message),
    };
    let password = node.state().meeting(&id).map(|meeting| meeting.moderator_pw.clone());
    let Some(password) = password else {
        return Reply::failed(NOT_FOUND.0, NOT_FOUND.1);
    };
    // Optional, but checked if given.
    if inbound.params.filled("password").is_some_and(|given| given != password) {
        return Reply::failed("invalidPassword", "The supplied moderator password is incorrect");
    }
    node.end_meeting(&id);
    let mut xml = Xml::response("SUCCESS");
    xml.leaf("messageKey", "sentEndMeetingRequest").leaf(
        "message",
        "A request to end the meeting was sent.  Please wait a few seconds, and then use the \
         getMeetingInfo or isMeetingRunning API calls to verify that it was ended.",
    );
    Reply::xml(xml.finish()).with(header::CACHE_CONTROL, "no-cache")
}

pub(crate) fn send_chat_message(node: &Arc<Node>, inbound: &Inbound) -> Reply {
    match add_chat_message(node, inbound) {
        Ok(()) => {
            let mut xml = Xml::response("SUCCESS");
            xml.leaf("messageKey", "").leaf("message", "");
            Reply::xml(xml.finish())
        }
        Err((key, message)) => Reply::failed(key, message),
    }
}

fn add_chat_message(node: &Node, inbound: &Inbound) -> Result<(), Failure> {
    let id = meeting_id(inbound)?;
    let text = inbound
        .params
        .filled("message")
        .ok_or(("missingParamMessage", "You must provide a message"))?;
    if utf16_len(&text) > 500 {
        return Err(("sizeError", "Message must be between 1 and 500 characters"));
    }
    let name = inbound.params.filled("userName").unwrap_or_else(|| "System".to_owned());
    if utf16_len(&name) > 255 {
        return Err(("sizeError", "User name must be between 1 and 255 characters"));
    }
    let mut state = node.state();
    let meeting = state
        .meeting_mut(&id)
        .filter(|meeting| !meeting.users.is_empty())
        .ok_or(("meetingNotFound", "Meeting not found"))?;
    // A bound, since nobody ever reads them all.
    if meeting.chat.len() < 1000 {
        meeting.chat.push((name, text));
    }
    Ok(())
}
