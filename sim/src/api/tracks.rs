//! Text tracks of recordings, the calls that answer in JSON (`bbb-api.md` 2.10).
//!
//! Refuses to keep a track's text: only that it is there.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::inbound::Inbound;
use crate::checksum::Verdict;
use crate::node::Node;
use crate::reply::Reply;
use crate::state::recording::TextTrack;

fn failed(key: &str, message: &str) -> Reply {
    respond(&json!({ "returncode": "FAILED", "messageKey": key, "message": message }))
}

fn respond(response: &Value) -> Reply {
    Reply::json(&json!({ "response": response }))
}

/// The answer to an upload whose checksum is wrong.
pub(crate) fn refuse(inbound: &Inbound, key: &str, message: &str) -> Reply {
    if inbound.verdict == Some(Verdict::Missing) {
        failed("paramError", "Missing param checksum.")
    } else {
        failed(key, message)
    }
}

pub(crate) fn get(node: &Arc<Node>, inbound: &Inbound) -> Reply {
    let Some(id) = inbound.params.filled("recordID") else {
        return Reply::failed("missingParamRecordID", "You must specify a recordID.");
    };
    let state = node.state();
    let Some(recording) = state.recordings.get(&id) else {
        return failed("noRecordings", &format!("No recording found for {id}"));
    };
    if recording.tracks.is_empty() {
        return failed("noCaptionsFound", &format!("No captions found for {id}"));
    }
    let origin = node.origin();
    let tracks: Vec<Value> = recording
        .tracks
        .iter()
        .map(|track| {
            let TextTrack { kind, lang, label } = track;
            let href = format!("{origin}/bigbluebutton/textTrack/0/{id}/{kind}_{lang}.vtt");
            json!({ "href": href, "kind": kind, "label": label, "lang": lang, "source": "upload" })
        })
        .collect();
    respond(&json!({ "returncode": "SUCCESS", "tracks": tracks }))
}

pub(crate) fn put(node: &Arc<Node>, inbound: &Inbound) -> Reply {
    let text = |name: &str| inbound.query_params.get(name).unwrap_or_default();
    let (id, kind, lang) = (text("recordID"), text("kind"), text("lang"));
    if id.is_empty() {
        return failed("paramError", "Missing param recordID.");
    }
    if kind != "subtitles" && kind != "captions" {
        return failed("invalidKind", "Invalid kind parameter, expected='subtitles|captions'");
    }
    if !lang.starts_with(|c: char| c.is_ascii_alphabetic())
        || !lang.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    {
        return failed("invalidLang", "Malformed lang param");
    }
    let mut state = node.state();
    let Some(recording) = state.recordings.get_mut(&id) else {
        return failed("noRecordings", &format!("No recording found for {id}"));
    };
    if has_part(&inbound.body) == Some(false) {
        return respond(&json!({
            "returncode": "FAILED", "recordId": id,
            "messageKey": "empty_uploaded_text_track", "message": "Empty uploaded text track.",
        }));
    }
    recording.tracks.retain(|track| track.lang != lang || track.kind != kind);
    if !inbound.body.is_empty() {
        let label = Some(text("label")).filter(|label| !label.is_empty());
        recording.tracks.push(TextTrack {
            label: label.unwrap_or_else(|| lang.clone()),
            kind,
            lang,
        });
    }
    respond(&json!({
        "messageKey": "upload_text_track_success", "message": "Text track uploaded successfully",
        "recordId": id, "returncode": "SUCCESS",
    }))
}

/// Whether the first part of a multipart body has any content; `None` without a body.
fn has_part(body: &[u8]) -> Option<bool> {
    if body.is_empty() {
        return None;
    }
    let start = body.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(!body[start + 4..].starts_with(b"\r\n--"))
}
