//! `join`: registers somebody and sends the browser to the client (`bbb-api.md` 3).
//!
//! Refuses to count people: who joined is in the meeting only once their browser opens the client page.

use std::sync::Arc;

use http::header;

use crate::api::create::MEETING_ID_MISSING;
use crate::api::guard::Failure;
use crate::api::inbound::Inbound;
use crate::config::Profile;
use crate::ids;
use crate::node::Node;
use crate::params::Params;
use crate::reply::Reply;
use crate::state::State;
use crate::state::meeting::{GuestPolicy, Meeting, Role, User};
use crate::state::session::Session;
use crate::xml::Xml;

const UNKNOWN: Failure = ("invalidMeetingIdentifier", "A meeting with that ID does not exist");
const NO_NAME: Failure = ("missingParamFullName", "You must provide your name");
const ENDED: Failure =
    ("meetingForciblyEnded", "You can not join a meeting that has already been forcibly ended");
const OTHER_TIME: Failure = (
    "mismatchCreateTimeParam",
    "The createTime parameter submitted mismatches with the current meeting.",
);
const FULL: Failure = (
    "maxParticipantsReached",
    "The number of participants allowed for this meeting has been reached.",
);
const DENIED: Failure = (
    "guestDeniedAccess",
    "You have been denied access to this meeting based on the meeting's guest policy",
);
const NO_SUCH_USER: Failure = ("userNotFound", "No active session found for the provided user ID.");

/// Why a join fails, which decides how that is said.
enum Refusal {
    /// Redirect with `errors`, whatever the caller asked for.
    Early(Failure),
    /// Redirect with `errors`, or XML if the caller asked for no redirect.
    Late(Failure),
    /// XML with the odd key that BBB has for wrong passwords.
    Role(&'static str),
}

pub(crate) fn join(node: &Arc<Node>, inbound: &Inbound) -> Reply {
    let params = &inbound.params;
    let redirect = !params.get("redirect").is_some_and(|value| value.eq_ignore_ascii_case("false"));
    let mut state = node.state();
    match register(&mut state, params, inbound.cookie()) {
        Ok(joined) => {
            let reply =
                if redirect { Reply::redirect(joined.location(node)) } else { joined.xml(node) };
            let cookie = format!("JSESSIONID={}; Path=/; HttpOnly", joined.cookie);
            reply.with(header::SET_COOKIE, cookie).with(header::CACHE_CONTROL, "no-cache")
        }
        Err(Refusal::Role(message)) => Reply::failed("Params required", message),
        Err(Refusal::Late((key, message))) if !redirect && node.config.profile == Profile::V30 => {
            Reply::failed(key, message)
        }
        Err(Refusal::Early((key, message)) | Refusal::Late((key, message))) => {
            let meeting = params.get("meetingID").and_then(|id| state.meeting(&id).cloned());
            redirect_error(node, inbound, meeting.as_ref(), key, message)
        }
    }
}

/// 302 to where the front end wants errors, or to the server's own start page.
pub(crate) fn redirect_error(
    node: &Node,
    inbound: &Inbound,
    meeting: Option<&Meeting>,
    key: &str,
    message: &str,
) -> Reply {
    let v30 = node.config.profile == Profile::V30;
    // Nothing of an unsigned request decides where a browser goes.
    let trusted = !(v30 && key == "checksumError");
    let own = |name: &str| inbound.params.filled(name).filter(|_| trusted);
    let base = own("errorRedirectUrl")
        .or_else(|| own("logoutURL").filter(|_| v30))
        .or_else(|| meeting.and_then(|meeting| meeting.logout_url.clone()))
        .unwrap_or_else(|| format!("{}/", node.origin()));
    let errors = format!("[{{\"key\":\"{key}\",\"message\":\"{message}\"}}]");
    let separator = if base.contains('?') { '&' } else { '?' };
    Reply::redirect(format!("{base}{separator}errors={}", java_uri(&errors)))
}

/// `text` as `java.net.URI` quotes a query: only what a URI cannot hold.
fn java_uri(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' | '{' | '}' | '[' | ']' | ' ' | '<' | '>' | '\\' | '^' | '`' | '|' | '%' => {
                out.push_str(&format!("%{:02X}", c as u32));
            }
            other => out.push(other),
        }
    }
    out
}

/// A join that worked.
struct Joined {
    meeting: String,
    user: String,
    auth_token: String,
    token: String,
    cookie: String,
    waiting: bool,
}

impl Joined {
    fn location(&self, node: &Node) -> String {
        let page = match (node.config.profile, self.waiting) {
            (Profile::V30, _) => "",
            (Profile::V27, false) => "join",
            (Profile::V27, true) => "guestWait",
        };
        format!("{}/html5client/{page}?sessionToken={}", node.origin(), self.token)
    }

    fn xml(&self, node: &Node) -> Reply {
        let (key, message) = if self.waiting && node.config.profile == Profile::V27 {
            ("guestWait", "Guest waiting for approval to join meeting.")
        } else {
            ("successfullyJoined", "You have joined successfully.")
        };
        let mut xml = Xml::response("SUCCESS");
        xml.leaf("messageKey", key)
            .leaf("message", message)
            .leaf("meeting_id", &self.meeting)
            .leaf("user_id", &self.user)
            .leaf("auth_token", &self.auth_token)
            .leaf("session_token", &self.token)
            .leaf("guestStatus", if self.waiting { "WAIT" } else { "ALLOW" })
            .leaf("url", self.location(node));
        Reply::xml(xml.finish())
    }
}

fn register(state: &mut State, params: &Params, cookie: Option<&str>) -> Result<Joined, Refusal> {
    let id = params.filled("meetingID").ok_or(Refusal::Early(MEETING_ID_MISSING))?;
    let name = params
        .filled("fullName")
        .or_else(|| params.filled("firstName"))
        .ok_or(Refusal::Early(NO_NAME))?;
    let known = cookie
        .filter(|cookie| state.sessions.values().any(|session| session.cookie == *cookie))
        .map_or_else(ids::cookie, str::to_owned);
    let meeting = state.meeting_mut(&id).ok_or(Refusal::Early(UNKNOWN))?;
    if meeting.ending {
        return Err(Refusal::Early(ENDED));
    }
    let role = role(meeting, params)?;
    let user = admit(meeting, params, &name, role)?;
    let joined = Joined {
        meeting: meeting.internal_id.clone(),
        user: user.internal_id.clone(),
        auth_token: ids::auth_token(),
        token: ids::session_token(),
        cookie: known,
        waiting: user.waiting,
    };
    if params.filled("existingUserID").is_none() {
        meeting.registered.push(user);
    }
    meeting.tokens.push(joined.token.clone());
    let session = Session {
        cookie: joined.cookie.clone(),
        meeting: joined.meeting.clone(),
        user: joined.user.clone(),
        auth_token: joined.auth_token.clone(),
    };
    state.sessions.insert(joined.token.clone(), session);
    Ok(joined)
}

/// A valid role overrides the password.
fn role(meeting: &Meeting, params: &Params) -> Result<Role, Refusal> {
    let asked = params.filled("role").unwrap_or_default();
    if asked.eq_ignore_ascii_case("MODERATOR") {
        return Ok(Role::Moderator);
    }
    if asked.eq_ignore_ascii_case("VIEWER") {
        return Ok(Role::Viewer);
    }
    match params.filled("password") {
        Some(password) if password == meeting.moderator_pw => Ok(Role::Moderator),
        Some(password) if password == meeting.attendee_pw => Ok(Role::Viewer),
        Some(_) => Err(Refusal::Role("You must enter a valid password")),
        None => Err(Refusal::Role(
            "You must either send the valid role of the user, or the password, sould the meeting has one.",
        )),
    }
}

/// The person, if time, numbers and guest policy allow.
fn admit(meeting: &Meeting, params: &Params, name: &str, role: Role) -> Result<User, Refusal> {
    let time = params.filled("createTime");
    if time.is_some_and(|time| time != meeting.create_time.to_string()) {
        return Err(Refusal::Late(OTHER_TIME));
    }
    let mut people = meeting.users.iter().chain(&meeting.registered);
    if let Some(existing) = params.filled("existingUserID") {
        let found = people.find(|user| user.internal_id == existing).cloned();
        return found.ok_or(Refusal::Late(NO_SUCH_USER));
    }
    let external = params.filled("userID");
    let there = people.clone().count() as u64;
    let back = people.any(|user| Some(&user.external_id) == external.as_ref());
    if meeting.max_users > 0 && there >= meeting.max_users && !back && !params.is_true("bot") {
        return Err(Refusal::Late(FULL));
    }
    let mut user = User::new(name, "", role);
    user.external_id = external.unwrap_or_else(|| user.internal_id.clone());
    user.custom =
        params.prefixed("userdata-").map(|(name, value)| (name.to_owned(), value)).collect();
    if params.is_true("guest") {
        match meeting.guest_policy {
            GuestPolicy::AlwaysAccept => {}
            GuestPolicy::AlwaysDeny => return Err(Refusal::Late(DENIED)),
            GuestPolicy::AskModerator => user.waiting = role == Role::Viewer,
        }
    }
    Ok(user)
}

#[cfg(test)]
mod tests {
    use super::java_uri;

    #[test]
    fn errors_are_quoted_as_java_does() {
        assert_eq!(java_uri("[{\"key\":\"a b\"}]"), "%5B%7B%22key%22:%22a%20b%22%7D%5D");
    }
}
