//! What a server has besides the API: the client page, the round-trip check, the start page.
//!
//! The client page is a stub, but it needs what the real one needs: session token and cookie.

use http::{HeaderName, StatusCode};

use crate::api::inbound::Inbound;
use crate::clock;
use crate::node::Node;
use crate::reply::{Reply, page};
use crate::state::State;

pub(crate) fn page_of(node: &Node, inbound: &Inbound) -> Reply {
    match inbound.call.as_str() {
        "rtt-check" => Reply::text("")
            .with(HeaderName::from_static("access-control-allow-origin"), "*")
            .with(HeaderName::from_static("x-server-epoch-msec"), clock::now_ms().to_string()),
        "client" => client(node, inbound),
        _ => Reply::html(
            StatusCode::OK,
            page(
                &node.config.name,
                "A simulated BigBlueButton server. There is nothing to see here.",
            ),
        ),
    }
}

/// Lets the owner of the session into the meeting.
fn client(node: &Node, inbound: &Inbound) -> Reply {
    let token = inbound.params.get("sessionToken").unwrap_or_default();
    let free = node.config.allow_requests_without_session;
    match enter(&mut node.state(), &token, inbound.cookie(), free) {
        Entry::Entered { meeting, user } => Reply::html(
            StatusCode::OK,
            page(&meeting, &format!("{user} is in this meeting on {}.", node.config.name)),
        ),
        Entry::Waiting { meeting } => Reply::html(
            StatusCode::OK,
            page(&meeting, "Please wait for a moderator to let you in."),
        ),
        Entry::Refused => Reply::html(
            StatusCode::UNAUTHORIZED,
            page("No session", "The session token is unknown or belongs to another browser."),
        ),
    }
}

/// What became of a request for the client page.
enum Entry {
    Entered { meeting: String, user: String },
    Waiting { meeting: String },
    Refused,
}

fn enter(state: &mut State, token: &str, cookie: Option<&str>, free: bool) -> Entry {
    let Some(session) = state.sessions.get(token) else {
        return Entry::Refused;
    };
    if !free && cookie != Some(session.cookie.as_str()) {
        return Entry::Refused;
    }
    let (internal, user) = (session.meeting.clone(), session.user.clone());
    let Some(meeting) = state.meeting_mut(&internal) else {
        return Entry::Refused;
    };
    let name = meeting.name.clone();
    if let Some(index) = meeting.registered.iter().position(|one| one.internal_id == user) {
        if meeting.registered[index].waiting {
            return Entry::Waiting { meeting: name };
        }
        let user = meeting.registered.remove(index);
        meeting.enter(user);
    }
    match meeting.users.iter().find(|one| one.internal_id == user) {
        Some(user) => Entry::Entered { meeting: name, user: user.name.clone() },
        None => Entry::Refused,
    }
}
