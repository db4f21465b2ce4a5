//! The calls of the client itself, guarded by the session token (`bbb-api.md` 2.12).
//!
//! Refuses whatever only a real client could use; there is just enough for a client to start and leave.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::inbound::Inbound;
use crate::checksum::Algorithm;
use crate::clock;
use crate::node::Node;
use crate::params::encode;
use crate::reply::Reply;
use crate::state::State;
use crate::state::meeting::{Meeting, User};
use crate::state::session::Session;
use crate::xml::Xml;

/// The session of a request, with its cookie if the server asks for one.
pub(crate) fn of<'s>(
    node: &Node,
    state: &'s State,
    inbound: &Inbound,
) -> Option<(&'s Session, &'s Meeting, &'s User)> {
    let session = state.sessions.get(&inbound.params.get("sessionToken")?)?;
    let free = node.config.allow_requests_without_session;
    if !free && inbound.cookie() != Some(session.cookie.as_str()) {
        return None;
    }
    let meeting = state.meeting(&session.meeting)?;
    let mut people = meeting.users.iter().chain(&meeting.registered);
    let user = people.find(|user| user.internal_id == session.user)?;
    Some((session, meeting, user))
}

fn logout_url(node: &Node) -> String {
    format!("{}/", node.origin())
}

pub(crate) fn enter(node: &Arc<Node>, inbound: &Inbound) -> Reply {
    let state = node.state();
    let Some((session, meeting, user)) = of(node, &state, inbound) else {
        return Reply::json(&json!({ "response": {
            "returncode": "FAILED", "messageKey": "missingSession",
            "message": "Could not find conference.", "logoutURL": logout_url(node),
        }}));
    };
    let list = |pairs: &mut dyn Iterator<Item = (&String, &String)>| {
        Value::Array(pairs.map(|(name, value)| json!({ name.as_str(): value })).collect())
    };
    Reply::json(&json!({ "response": {
        "returncode": "SUCCESS",
        "fullname": user.name,
        "confname": meeting.name,
        "meetingID": meeting.internal_id,
        "externMeetingID": meeting.external_id,
        "externUserID": user.external_id,
        "internalUserID": user.internal_id,
        "authToken": session.auth_token,
        "role": user.role.name(),
        "guest": user.waiting,
        "guestStatus": if user.waiting { "WAIT" } else { "ALLOW" },
        "conference": meeting.internal_id,
        "room": meeting.internal_id,
        "voicebridge": meeting.voice_bridge,
        "dialnumber": meeting.dial_number,
        "webvoiceconf": meeting.voice_bridge,
        "mode": "LIVE",
        "record": meeting.record.to_string(),
        "isBreakout": meeting.parent.is_some(),
        "logoutUrl": meeting.logout_url.clone().unwrap_or_else(|| logout_url(node)),
        "customdata": list(&mut user.custom.iter().map(|(name, value)| (name, value))),
        "metadata": list(&mut meeting.meta.iter()),
    }}))
}

pub(crate) fn stuns(node: &Arc<Node>, inbound: &Inbound) -> Reply {
    if of(node, &node.state(), inbound).is_none() {
        return Reply::json(&json!({
            "returncode": "FAILED", "message": "Could not find conference.",
            "logoutURL": logout_url(node),
        }));
    }
    Reply::json(&json!({
        "stunServers": [{ "url": "stun:stun.invalid" }], "turnServers": [], "remoteIceCandidates": [],
    }))
}

/// Ends the session; its owner leaves the meeting.
pub(crate) fn sign_out(node: &Arc<Node>, inbound: &Inbound) -> Reply {
    let mut state = node.state();
    let token = inbound.params.get("sessionToken").unwrap_or_default();
    if of(node, &state, inbound).is_some()
        && let Some(session) = state.sessions.remove(&token)
        && let Some(meeting) = state.meeting_mut(&session.meeting)
    {
        meeting.users.retain(|user| user.internal_id != session.user);
        meeting.registered.retain(|user| user.internal_id != session.user);
        meeting.tokens.retain(|known| *known != token);
        meeting.note_empty(clock::now_ms());
    }
    Reply::xml(Xml::response("SUCCESS").finish())
}

/// A join URL for the same person, with the server's own name and secret, signed with SHA-1.
pub(crate) fn join_url(node: &Arc<Node>, inbound: &Inbound) -> Reply {
    let state = node.state();
    let Some((_, meeting, user)) = of(node, &state, inbound) else {
        return Reply::json(&json!({ "response": {
            "returncode": "FAILED", "messageKey": "sessionMissing",
            "message": "Invalid session token",
        }}));
    };
    let query = format!(
        "&redirect=true&existingUserID={}&role={}&fullName={}&meetingID={}",
        user.internal_id,
        user.role.name(),
        encode(&user.name),
        encode(&meeting.external_id),
    );
    let sum = Algorithm::Sha1.hex(&format!("join{query}{}", state.secret));
    let url = format!("{}/bigbluebutton/api/join?{query}&checksum={sum}", node.origin());
    Reply::json(&json!({ "response": {
        "returncode": "SUCCESS", "message": "Join URL provided successfully.", "url": url,
    }}))
}
