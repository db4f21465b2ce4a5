//! `getRecordings` and the calls that change recordings (`bbb-api.md` 2.10, 5).
//!
//! Refuses to sort: a real server lists recordings in no order, so here it is that of record IDs.

use std::sync::Arc;

use http::header;

use crate::api::inbound::Inbound;
use crate::ids;
use crate::node::Node;
use crate::params::{Params, decode};
use crate::reply::Reply;
use crate::state::recording::{PlaybackFormat, Recording, RecordingState};
use crate::xml::{Xml, escape};

/// Recordings per page at most.
const LIMIT_MAX: i64 = 100;

pub(crate) fn get(node: &Arc<Node>, inbound: &Inbound) -> Reply {
    let params = &inbound.params;
    let prefixes = prefixes(params);
    let limit = params.get("limit").and_then(|limit| limit.parse::<i64>().ok());
    if prefixes.is_none() && limit.is_none() && !node.config.allow_fetch_all_recordings {
        return none_found(
            None,
            "No recordings found. This may occur if you attempt to retrieve all recordings.",
        );
    }
    let state = node.state();
    let found: Vec<&Recording> = state
        .recordings
        .values()
        .filter(|one| {
            prefixes.as_ref().is_none_or(|all| all.iter().any(|p| one.record_id.starts_with(p)))
        })
        .filter(|one| state_matches(params, one.state) && meta_matches(params, one))
        .collect();
    let total = found.len();
    let offset = params.get("offset").and_then(|offset| offset.parse::<i64>().ok()).unwrap_or(0);
    let (skip, take) = match limit {
        Some(limit) => (offset.max(0) as usize, limit.clamp(1, LIMIT_MAX) as usize),
        None => (0, usize::MAX),
    };
    if found.len() <= skip {
        return none_found(
            Some(limit.map(|_| total)),
            "There are no recordings for the meeting(s).",
        );
    }
    let mut xml = Xml::response("SUCCESS");
    xml.open("recordings");
    for recording in found.into_iter().skip(skip).take(take) {
        write(&mut xml, recording, &node.origin());
    }
    xml.close("recordings");
    if limit.is_some() {
        xml.value("totalElements", total);
    }
    Reply::xml(xml.finish())
}

/// `noRecordings`; the outer option says whether there is a list, the inner one its `totalElements`.
fn none_found(list: Option<Option<usize>>, message: &str) -> Reply {
    let mut xml = Xml::response("SUCCESS");
    if list.is_some() {
        xml.open("recordings").close("recordings");
    }
    if let Some(total) = list.flatten() {
        xml.value("totalElements", total);
    }
    xml.leaf("messageKey", "noRecordings").leaf("message", message);
    Reply::xml(xml.finish())
}

/// A comma list, decoded a second time as BBB does.
pub(crate) fn id_list(value: &str) -> Vec<String> {
    let decoded = decode(value).unwrap_or_else(|| value.to_owned());
    decoded.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect()
}

/// The record ID prefixes asked for; `None` if neither recordings nor meetings are named.
fn prefixes(params: &Params) -> Option<Vec<String>> {
    if let Some(records) = params.filled("recordID") {
        return Some(id_list(&records));
    }
    let meetings = params.filled("meetingID")?;
    Some(id_list(&meetings).iter().map(|id| ids::sha1_hex(id)).collect())
}

fn state_matches(params: &Params, state: RecordingState) -> bool {
    match params.filled("state") {
        None => matches!(state, RecordingState::Published | RecordingState::Unpublished),
        Some(wanted) => wanted.split(',').any(|one| one == "any" || one == state.name()),
    }
}

/// Every `meta_*` given has to match; `%` at either end stands for anything.
fn meta_matches(params: &Params, recording: &Recording) -> bool {
    params.prefixed("meta_").all(|(name, wanted)| {
        let found = recording.meta.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.is_some_and(|(_, value)| wildcard(&wanted, value))
    })
}

fn wildcard(pattern: &str, value: &str) -> bool {
    match (pattern.strip_prefix('%'), pattern.strip_suffix('%')) {
        (Some(_), Some(_)) => value.contains(pattern.trim_matches('%')),
        (Some(end), None) => value.ends_with(end),
        (None, Some(start)) => value.starts_with(start),
        (None, None) => value == pattern,
    }
}

fn write(xml: &mut Xml, recording: &Recording, origin: &str) {
    xml.open("recording")
        .leaf("recordID", &recording.record_id)
        .leaf("meetingID", &recording.meeting_id)
        .leaf("internalMeetingID", &recording.record_id)
        .leaf("name", &recording.name)
        .value("isBreakout", recording.is_breakout)
        .value("published", recording.published())
        .leaf("state", recording.state.name())
        .value("startTime", recording.start_ms)
        .value("endTime", recording.end_ms)
        .value("participants", recording.participants)
        .value("rawSize", recording.raw_size)
        .open("metadata")
        .value("isBreakout", recording.is_breakout)
        .leaf("meetingName", &recording.name);
    for (name, value) in &recording.meta {
        xml.leaf(name, value);
    }
    xml.leaf("meetingId", &recording.meeting_id).close("metadata").open("playback");
    if !matches!(recording.state, RecordingState::Processing | RecordingState::Processed) {
        for format in &recording.formats {
            write_format(xml, recording, format, origin);
        }
    }
    xml.close("playback").close("recording");
}

fn write_format(xml: &mut Xml, recording: &Recording, format: &PlaybackFormat, origin: &str) {
    let id = &recording.record_id;
    let url = match format.kind.as_str() {
        _ if !format.url.is_empty() => format.url.clone(),
        "presentation" => format!("{origin}/playback/presentation/2.3/{id}"),
        "podcast" => format!("{origin}/podcast/{id}/audio.ogg"),
        kind => format!("{origin}/{kind}/{id}/"),
    };
    xml.open("format")
        .leaf("type", &format.kind)
        .leaf("url", url)
        .value("processingTime", 7177)
        .value("length", format.length_min)
        .value("size", format.size);
    if !format.previews.is_empty() {
        xml.open("preview").open("images");
        for image in &format.previews {
            let image = escape(image);
            xml.raw(&format!("<image alt=\"\" height=\"136\" width=\"176\">{image}</image>\n"));
        }
        xml.close("images").close("preview");
    }
    xml.close("format");
}

pub(crate) fn publish(node: &Arc<Node>, inbound: &Inbound) -> Reply {
    let state = match inbound.params.filled("publish") {
        Some(value) if value.eq_ignore_ascii_case("true") => RecordingState::Published,
        Some(_) => RecordingState::Unpublished,
        None if inbound.params.filled("recordID").is_some() => {
            return Reply::failed(
                "missingParamPublish",
                "You must specify a publish value true or false.",
            );
        }
        // The missing record ID is reported below.
        None => RecordingState::Unpublished,
    };
    let published = (state == RecordingState::Published).to_string();
    change(node, inbound, false, ("published", &published), |recording| recording.state = state)
}

pub(crate) fn delete(node: &Arc<Node>, inbound: &Inbound) -> Reply {
    change(node, inbound, false, ("deleted", "true"), |recording| {
        recording.state = RecordingState::Deleted;
    })
}

pub(crate) fn update(node: &Arc<Node>, inbound: &Inbound) -> Reply {
    let meta: Vec<(String, String)> = inbound
        .params
        .prefixed("meta_")
        .map(|(name, value)| (name.to_lowercase(), value))
        .collect();
    change(node, inbound, true, ("updated", "true"), |recording| {
        for (name, value) in &meta {
            if value.is_empty() {
                recording.meta.remove(name);
            } else {
                recording.meta.insert(name.clone(), value.clone());
            }
        }
    })
}

/// Changes the recordings named, by prefix or exactly; one that exists is enough.
fn change(
    node: &Node,
    inbound: &Inbound,
    by_prefix: bool,
    (element, value): (&str, &str),
    change: impl Fn(&mut Recording),
) -> Reply {
    let Some(records) = inbound.params.filled("recordID") else {
        return Reply::failed("missingParamRecordID", "You must specify a recordID.");
    };
    let wanted = id_list(&records);
    let named = |id: &str| {
        wanted.iter().any(|one| if by_prefix { id.starts_with(one.as_str()) } else { id == one })
    };
    let mut state = node.state();
    let mut found = false;
    for recording in state.recordings.values_mut() {
        if recording.state != RecordingState::Deleted && named(&recording.record_id) {
            change(recording);
            found = true;
        }
    }
    if !found {
        return Reply::failed("notFound", "We could not find recordings");
    }
    let mut xml = Xml::response("SUCCESS");
    xml.leaf(element, value);
    Reply::xml(xml.finish()).with(header::CACHE_CONTROL, "no-cache")
}

#[cfg(test)]
mod tests {
    use super::{id_list, wildcard};

    #[test]
    fn wildcards_stand_at_the_ends() {
        let cases = [
            ("foo", "foo", true),
            ("foo", "foobar", false),
            ("foo%", "foobar", true),
            ("%bar", "foobar", true),
            ("%oba%", "foobar", true),
            ("%", "x", true),
            ("b%", "foobar", false),
        ];
        for (pattern, value, expected) in cases {
            assert_eq!(wildcard(pattern, value), expected, "{pattern} {value}");
        }
    }

    #[test]
    fn lists_are_decoded_a_second_time() {
        assert_eq!(id_list("a%2Cb,c+d"), ["a", "b", "c d"]);
        assert_eq!(id_list("50%,x"), ["50%", "x"]);
    }
}
