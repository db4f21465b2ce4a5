//! How a verified call is written to a server: path, query, checksum and body. Takes a [`Call`] and nothing
//! less, so that only verified calls are signed (design rule 5).

use std::borrow::Cow;

use crate::bbb::call::{Call, CallName};
use crate::bbb::checksum;
use crate::bbb::query;
use crate::cluster::server::ServerSpec;

/// The longest path and query sent as a request line: nginx in front of bbb-web takes lines of 8 KiB
/// (`bbb-api.md` 10.11), of which method, version and blanks need a few bytes.
const TARGET_BYTES_MAX: usize = 8000;

/// A request to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Path and signed query.
    pub target: String,
    /// What travels behind the header.
    pub body: OutgoingBody,
}

/// The body of a request to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutgoingBody {
    /// None: a GET.
    None,
    /// A POST of these parameters as a form.
    Form(String),
    /// A POST of what the client sends, as it comes.
    Received,
}

/// Writes `call` for `server`. `has_body`: whether the client sends a body that is no form.
pub fn write(call: &Call, server: &ServerSpec, has_body: bool) -> Outgoing {
    let params = plain(call);
    let line = signed_target(call, &params, server);
    if has_body {
        return Outgoing { target: line, body: OutgoingBody::Received };
    }
    if line.len() <= TARGET_BYTES_MAX || !takes_form(call.name()) {
        return Outgoing { target: line, body: OutgoingBody::None };
    }
    // The portable way of bbb-api.md 1.4: nothing but the checksum in the query, which every BBB from 2.4 on
    // hashes as an empty one.
    Outgoing {
        target: signed_target(call, "", server),
        body: OutgoingBody::Form(params.into_owned()),
    }
}

/// Where a browser finds the meeting: the server's own join, signed with the server's secret.
pub fn join_location(call: &Call, server: &ServerSpec) -> String {
    let scheme = if server.url.https { "https" } else { "http" };
    let target = signed_target(call, &plain(call), server);
    format!("{scheme}://{}{target}", server.url.authority())
}

fn signed_target(call: &Call, params: &str, server: &ServerSpec) -> String {
    let name = call.name().as_str();
    let query = checksum::sign(name, params, server.algorithm, &server.secret);
    server.url.target(name, &query)
}

/// The call's parameters, those of a form behind those of the query, with the few characters escaped that
/// clients on the way would escape: what is signed must arrive as it was signed (`clients.md` 8).
fn plain(call: &Call) -> Cow<'_, str> {
    let params = if call.form().is_empty() {
        Cow::Borrowed(call.query())
    } else {
        Cow::Owned(query::join(call.query(), call.form()))
    };
    if params.bytes().all(is_plain) {
        return params;
    }
    let mut escaped = String::with_capacity(params.len() + 16);
    for byte in params.bytes() {
        if is_plain(byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push('%');
            escaped.push_str(&hex::encode_upper([byte]));
        }
    }
    Cow::Owned(escaped)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !br#"'"<>#"#.contains(&byte)
}

/// Whether servers take the call as a form POST (`bbb-api.md` 2.0).
fn takes_form(name: &CallName) -> bool {
    matches!(
        name,
        CallName::Create
            | CallName::End
            | CallName::IsMeetingRunning
            | CallName::GetMeetingInfo
            | CallName::GetRecordings
            | CallName::UpdateRecordings
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bbb::call::SignedCall;
    use crate::bbb::checksum::{Algorithm, sign};
    use crate::bbb::secret::Secret;
    use crate::cluster::testing::spec;

    fn call(text: &str, query: &str, form: Option<&str>) -> Call {
        let secret = Secret::new("front").unwrap();
        let name = CallName::of_path(&format!("/bigbluebutton/api/{text}")).unwrap();
        let wire = sign(text, query, Algorithm::Sha256, &secret);
        SignedCall { name: &name, query: &wire, form }.verify(&[secret]).unwrap()
    }

    /// Splits a target into the query that was signed and its checksum, and checks the one by the other.
    #[track_caller]
    fn signed_by_server(target: &str, text: &str) -> String {
        let (path, wire) = target.split_once('?').unwrap();
        assert_eq!(path, format!("/bigbluebutton/api/{text}"));
        let sum = query::first(wire, "checksum").unwrap();
        let hashed = checksum::strip(wire, &sum);
        assert!(checksum::matches(text, &hashed, &sum, &spec("bbb1").secret));
        hashed.into_owned()
    }

    #[test]
    fn the_query_keeps_its_bytes_and_gets_the_servers_checksum() {
        let odd = "name=a%2fb+c&&x=1&x=2&playbacks%5Ba%5D=(*)~!&meetingID=m";
        let outgoing = write(&call("create", odd, None), &spec("bbb1"), false);
        assert_eq!(signed_by_server(&outgoing.target, "create"), odd);
        assert_eq!(outgoing.body, OutgoingBody::None);
    }

    #[test]
    fn parameters_of_a_form_move_into_the_query() {
        let form = Some("meetingID=m&name=n");
        let outgoing = write(&call("create", "a=1", form), &spec("bbb1"), false);
        assert_eq!(signed_by_server(&outgoing.target, "create"), "a=1&meetingID=m&name=n");
    }

    #[test]
    fn a_line_that_is_too_long_for_servers_becomes_a_form() {
        let long = format!("meetingID=m&welcome={}", "x".repeat(9000));
        let outgoing = write(&call("create", &long, None), &spec("bbb1"), false);
        assert_eq!(signed_by_server(&outgoing.target, "create"), "");
        assert_eq!(outgoing.body, OutgoingBody::Form(long.clone()));
        let with_slides = write(&call("create", &long, None), &spec("bbb1"), true);
        assert_eq!(signed_by_server(&with_slides.target, "create"), long);
    }

    #[test]
    fn a_line_of_8000_bytes_is_a_line_and_forms_are_for_who_takes_them() {
        let of_bytes = |name: &str, bytes: usize| {
            let write = |more: usize| {
                let query = format!("meetingID=m&x={}", "x".repeat(more));
                write(&call(name, &query, None), &spec("bbb1"), false)
            };
            write(bytes - write(0).target.len())
        };
        for name in [
            "create",
            "end",
            "isMeetingRunning",
            "getMeetingInfo",
            "getRecordings",
            "updateRecordings",
        ] {
            assert_eq!(of_bytes(name, 8000).body, OutgoingBody::None, "{name}");
            assert!(matches!(of_bytes(name, 8001).body, OutgoingBody::Form(_)), "{name}");
        }
        for name in ["sendChatMessage", "publishRecordings", "deleteRecordings"] {
            assert_eq!(of_bytes(name, 8001).body, OutgoingBody::None, "{name}");
        }
    }

    #[test]
    fn what_browsers_would_escape_is_escaped_before_signing() {
        let location =
            join_location(&call("join", "fullName=O'Neil+é&meetingID=m", None), &spec("bbb1"));
        let target = location.strip_prefix("http://bbb1.test").unwrap();
        assert_eq!(signed_by_server(target, "join"), "fullName=O%27Neil+%C3%A9&meetingID=m");
    }
}
