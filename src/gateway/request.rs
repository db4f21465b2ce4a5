//! Requests as they arrive, read as far as a decision needs, and refused where two programs could read them
//! in two ways.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, EXPECT,
    TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName};
use pingora_proxy::Session;

use crate::bbb::call::{BodyType, CallName, Method};
use crate::bbb::fault::Fault;
use crate::config::settings::Limits;

/// More lines than any browser or front end sends.
const LINES_MAX: usize = 100;
/// Everything but the request line, which may have 64 KiB of its own (clients.md M5).
const LINES_BYTES_MAX: usize = 32 * 1024;

/// What the header of a request says.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) method: Method,
    /// What of its body counts.
    pub(crate) body: BodyType,
    /// The whole Content-Type of a body that counts.
    pub(crate) content_type: String,
    /// Whether there is a body at all, also one that counts for nothing.
    pub(crate) has_body: bool,
    /// Announced length, if one was announced.
    pub(crate) body_bytes: Option<u64>,
    /// Whether the client waits for a word before it sends the body.
    pub(crate) expects_continue: bool,
    /// Whether the client means to show the answer to somebody.
    pub(crate) is_browser: bool,
    /// The languages that somebody reads, best first as far as the header's order tells.
    pub(crate) languages: String,
}

impl Head {
    pub(crate) fn of(session: &mut Session) -> Self {
        let has_body = !session.is_body_empty();
        let header = session.req_header();
        let method = match header.method {
            http::Method::GET | http::Method::HEAD => Method::Get,
            http::Method::POST => Method::Post,
            _ => Method::Other,
        };
        let content_type = text(&header.headers, CONTENT_TYPE);
        // A body counts only on a POST: PHP sends a Content-Type on every GET (clients.md M7).
        let body = if has_body && method == Method::Post {
            BodyType::of_content_type(content_type)
        } else {
            BodyType::None
        };
        // HTTP/1.0 knows no interim answers.
        let expects_continue = header.version != http::Version::HTTP_10
            && text(&header.headers, EXPECT).eq_ignore_ascii_case("100-continue");
        Self {
            path: header.uri.path().to_owned(),
            query: header.uri.query().unwrap_or_default().to_owned(),
            method,
            body,
            content_type: content_type.to_owned(),
            has_body,
            body_bytes: text(&header.headers, CONTENT_LENGTH).parse().ok(),
            expects_continue,
            is_browser: accepts(&header.headers, ACCEPT, "text/html"),
            languages: text(&header.headers, ACCEPT_LANGUAGE).to_owned(),
        }
    }
}

/// What is wrong with the header as such, whatever it asks for. Pingora itself has already refused folded
/// lines, two Hosts, lengths that differ, and a Transfer-Encoding that does not end in `chunked`.
pub(crate) fn refuse(session: &Session) -> Option<Fault> {
    let header = session.req_header();
    let encodings: Vec<&[u8]> =
        header.headers.get_all(TRANSFER_ENCODING).iter().map(|value| value.as_bytes()).collect();
    if !matches!(encodings.as_slice(), [] | [b"chunked"]) {
        return Some(Fault::malformed_request());
    }
    let raw = session.as_ref().as_http1().map(|http1| http1.get_headers_raw_bytes());
    let raw = raw.as_deref().unwrap_or_default();
    // A line that ends without CR is where two parsers part ways.
    let bare = |at: usize| at == 0 || raw.get(at - 1) != Some(&b'\r');
    if memchr::memchr_iter(b'\n', raw).any(bare) {
        return Some(Fault::malformed_request());
    }
    let lines = raw.len().saturating_sub(header.raw_path().len());
    (header.headers.len() > LINES_MAX || lines > LINES_BYTES_MAX).then(Fault::header_too_large)
}

/// The largest body that `name` may carry.
pub(crate) fn body_bytes_max(name: &CallName, limits: &Limits) -> u64 {
    if matches!(name, CallName::Create | CallName::InsertDocument) {
        limits.documents_bytes
    } else if *name == CallName::PutRecordingTextTrack {
        limits.text_tracks_bytes
    } else {
        limits.other_bodies_bytes
    }
}

/// Whether answers may be compressed. Only the word itself counts: two PHP libraries send `UTF-8` here
/// (clients.md M8), and `*` from a program says little about what it can read.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    accepts(headers, ACCEPT_ENCODING, "gzip")
}

/// Whether a header that lists choices names this one without weighing it as 0.
fn accepts(headers: &HeaderMap, name: HeaderName, choice: &str) -> bool {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let named = parts.next().is_some_and(|named| named.eq_ignore_ascii_case(choice));
        let weight =
            parts.find_map(|part| part.to_ascii_lowercase().strip_prefix("q=")?.parse().ok());
        named && weight.is_none_or(|weight: f32| weight > 0.0)
    })
}

fn text(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &'static str, expected: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, http::HeaderValue::from_static(value));
        assert_eq!(accepts_gzip(&headers), expected, "{value}");
    }

    #[test]
    fn m8_only_the_word_gzip_means_gzip() {
        check("gzip", true);
        check("deflate, GZip;q=0.5", true);
        check("gzip; q=1.0, identity", true);
        check("UTF-8", false);
        check("gzip;q=0", false);
        check("gzip;Q=0.000", false);
        check("*", false);
        check("gzipped", false);
        check("", false);
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn a_browser_says_that_it_shows_pages() {
        let mut headers = HeaderMap::new();
        for (value, expected) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("*/*", false),
            ("text/xml, application/json, text/plain, */*", false),
        ] {
            headers.insert(ACCEPT, http::HeaderValue::from_static(value));
            assert_eq!(accepts(&headers, ACCEPT, "text/html"), expected, "{value}");
        }
    }
}
