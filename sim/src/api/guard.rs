//! What stands before every call: the checksum, then the content type (`bbb-api.md` 1.5, 1.6).
//!
//! Refuses to look at other parameters; each call checks its own.

use http::header;

use crate::api::inbound::Inbound;
use crate::api::{Bodies, Gate};
use crate::checksum::Verdict;
use crate::config::Profile;
use crate::node::Node;

/// A failure as key and message.
pub(crate) type Failure = (&'static str, &'static str);

/// Why the call is refused, if it is.
pub(crate) fn refuse(
    node: &Node,
    gate: Gate,
    bodies: Bodies,
    inbound: &Inbound,
) -> Option<Failure> {
    let message = match (gate, inbound.verdict) {
        (Gate::Open, _) | (_, None | Some(Verdict::Valid)) => {
            return refuse_body(node, bodies, inbound);
        }
        (Gate::Checksum, Some(Verdict::Missing)) => "You must provide the checksum",
        (Gate::Checksum, Some(Verdict::Mismatch)) => "Checksums do not match",
        (Gate::Recording, _) => "You did not pass the checksum security check",
        (Gate::Hook, _) => "You did not pass the checksum security check.",
    };
    Some(("checksumError", message))
}

fn refuse_body(node: &Node, bodies: Bodies, inbound: &Inbound) -> Option<Failure> {
    let has_body =
        !inbound.body.is_empty() || inbound.headers.contains_key(header::TRANSFER_ENCODING);
    if node.config.profile == Profile::V27 || !has_body {
        return None;
    }
    let allowed: &[&str] = match bodies {
        Bodies::Any => return None,
        Bodies::Form => &["application/x-www-form-urlencoded", "multipart/form-data"],
        Bodies::FormOrXml => &[
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/xml",
            "text/xml",
        ],
        Bodies::ApplicationXml => &["application/xml"],
    };
    let whole = inbound.header(&header::CONTENT_TYPE);
    let bare = whole.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    // A multipart type always carries its boundary.
    let exact = node.config.exact_content_types && bare != "multipart/form-data";
    let known = allowed.contains(&if exact { whole } else { &bare });
    (!known).then_some((
        "unsupportedContentType",
        "POST request Content-Type is missing or unsupported",
    ))
}
