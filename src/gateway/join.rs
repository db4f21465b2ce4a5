//! Joins that cannot work: who is told, and how. Front ends that gave an address for errors get them there, as
//! from BBB; people get a page that tries again; programs get XML (`bbb-api.md` 3.4).

use crate::bbb::call::{Call, CallName, Method};
use crate::bbb::fault::Fault;
use crate::bbb::reply::Reply;
use crate::gateway::answer::Outcome;
use crate::gateway::page::{Language, Page, Trouble};
use crate::gateway::request::Head;

/// How `reply`, the failure of a verified join, is told.
pub(crate) fn refuse(call: &Call, head: &Head, reply: Reply) -> Outcome {
    let Some(key) = reply.key else { return Outcome::Reply(reply) };
    // The form of a join may be unsigned, and an address in it anybody's.
    if key == Fault::checksum_mismatch().key || *call.name() != CallName::Join {
        return Outcome::Reply(reply);
    }
    // Who asks for no redirect wants to read the answer.
    if call.param("redirect").is_some_and(|redirect| redirect.eq_ignore_ascii_case("false")) {
        return Outcome::Reply(reply);
    }
    for name in ["errorRedirectUrl", "logoutURL"] {
        if let Some(location) = call.param(name).and_then(|url| with_error(&url, key, &reply)) {
            return Outcome::Redirect(location);
        }
    }
    let trouble = match key {
        "notFound" => Trouble::NotOpen,
        "serverUnavailable" | "internalError" => Trouble::OutOfReach,
        // A link that lacks something will lack it next time; its maker reads XML.
        _ => return Outcome::Reply(reply),
    };
    if !head.is_browser {
        return Outcome::Reply(reply);
    }
    // Asking again is a GET of the same URL, which is not what a form sent.
    let retries = head.method == Method::Get;
    Outcome::Page(Page { trouble, language: Language::of(&head.languages), retries })
}

/// `url` with BBB's `errors` parameter, if it is an address that a browser may be sent to.
fn with_error(url: &str, key: &str, reply: &Reply) -> Option<String> {
    let url = url.trim();
    let lower = url.to_ascii_lowercase();
    let rest = ["https://", "http://"].iter().find_map(|scheme| lower.strip_prefix(scheme))?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() || host.contains(['@', '\\']) {
        return None;
    }
    let (key, message) = match key {
        // What a join is told where other calls get `notFound` (bbb-api.md 3.4).
        "notFound" => ("invalidMeetingIdentifier", Fault::meeting_not_found().message),
        key => (key, reply.message.clone()?),
    };
    let errors = serde_json::json!([{ "key": key, "message": message }]).to_string();
    let (before, fragment) = url.split_once('#').map_or((url, None), |(a, b)| (a, Some(b)));
    let separator = if before.contains('?') { '&' } else { '?' };
    let mut location =
        format!("{}{separator}errors={}", escape(before, b"%"), escape(&errors, b""));
    if let Some(fragment) = fragment {
        location.push('#');
        location.push_str(&escape(fragment, b"%"));
    }
    Some(location)
}

/// What a header may hold as part of a URL: everything else is percent-encoded. Of a URL (`keep` is `%`) only
/// what cannot stand in one, of a value everything that means something there.
fn escape(text: &str, keep: &[u8]) -> String {
    let is_url = !keep.is_empty();
    let mut escaped = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric()
            || b"-._~".contains(&byte)
            || is_url && byte.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&byte);
        if plain {
            escaped.push(char::from(byte));
        } else {
            escaped.push('%');
            escaped.push_str(&hex::encode_upper([byte]));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bbb::reply::Format;

    #[track_caller]
    fn check(url: &str, expected: Option<&str>) {
        let reply = Reply::fault(&Fault::server_unavailable(), Format::Xml);
        let location = with_error(url, "k", &reply);
        let start = location.as_deref().map(|l| l.split_once("errors=").unwrap().0.to_owned());
        assert_eq!(start.as_deref(), expected, "{url}");
    }

    #[test]
    fn errors_follow_what_the_address_has_already() {
        check("https://lms.example/back", Some("https://lms.example/back?"));
        check("HTTP://lms.example", Some("HTTP://lms.example?"));
        check("https://lms.example/a?b=%2f&c", Some("https://lms.example/a?b=%2f&c&"));
        check("https://lms.example/é x", Some("https://lms.example/%C3%A9%20x?"));
        check(
            "https://lms.example/\r\nSet-Cookie: a",
            Some("https://lms.example/%0D%0ASet-Cookie:%20a?"),
        );
    }

    #[test]
    fn only_addresses_of_the_web_are_followed() {
        for url in [
            "javascript:alert(1)",
            "//lms.example",
            "/back",
            "https://",
            "https:///path",
            "https://me@lms.example",
            "https://lms.example\\@evil.example",
            "data:text/html,x",
            "",
        ] {
            check(url, None);
        }
    }

    #[test]
    fn errors_are_what_bbb_sends() {
        let reply = Reply::fault(&Fault::meeting_not_found(), Format::Xml);
        assert_eq!(
            with_error("https://lms.example/#top", "notFound", &reply).unwrap(),
            "https://lms.example/?errors=%5B%7B%22key%22%3A%22invalidMeetingIdentifier%22%2C%22message\
             %22%3A%22A%20meeting%20with%20that%20ID%20does%20not%20exist%22%7D%5D#top"
        );
    }
}
