//! The text-track calls (`bbb-api.md` 2.10): about one recording, so for the server that has it.

use crate::bbb::call::Call;
use crate::bbb::fault::Fault;
use crate::bbb::reply::{Format, Reply};
use crate::recording::id::{PARAM, RecordId};
use crate::recording::merge::Merged;

/// The recording that a text-track call is about. Without one BBB answers in XML, although these calls
/// speak JSON.
pub fn record_id(call: &Call) -> Result<RecordId, Reply> {
    call.param(PARAM)
        .and_then(|text| RecordId::new(&text))
        .ok_or_else(|| Reply::fault(&Fault::record_id_missing(), Format::Xml))
}

/// The server to forward to, from the answers to [`crate::recording::id::locate_query`]; else the answer.
pub fn server_of<K: Copy + Ord>(id: &RecordId, located: &Merged<'_, K>) -> Result<K, Reply> {
    located.server_of(id).ok_or_else(|| {
        let fault = if located.is_whole() {
            Fault::text_track_recording_not_found(id.as_str())
        } else {
            Fault::server_unreachable()
        };
        Reply::fault(&fault, Format::Json)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::samples::{NONE, call, listing, playable};

    #[test]
    fn no_record_id_is_answered_in_xml() {
        for query in ["", "recordID=", "meetingID=m"] {
            let reply = record_id(&call("getRecordingTextTracks", query)).unwrap_err();
            assert_eq!((reply.format, reply.key), (Format::Xml, Some("missingParamRecordID")));
        }
        let id = record_id(&call("putRecordingTextTrack", "lang=en&recordID=a%2Bb"));
        assert_eq!(id.unwrap().as_str(), "a+b");
    }

    #[test]
    fn the_server_that_has_it_or_why_there_is_none() {
        let id = RecordId::new("a\"1").unwrap();
        let there = listing(&[playable("a\"1", 1), playable("a\"12", 2)]);
        let longer = listing(&[playable("a\"12", 2)]);
        let check = |answers: &[Option<&str>]| {
            let bodies = answers.iter().map(|body| body.map(str::as_bytes));
            server_of(&id, &Merged::of((1..).zip(bodies))).map_err(|reply| {
                assert_eq!(reply.format, Format::Json);
                String::from_utf8(reply.body.to_vec()).unwrap()
            })
        };
        assert_eq!(check(&[None, Some(&there)]), Ok(2));
        assert_eq!(
            check(&[Some(NONE), Some(&longer)]).unwrap_err(),
            r#"{"response":{"message":"No recording found for a\"1","messageKey":"noRecordings","returncode":"FAILED"}}"#
        );
        for unsure in [&[Some(NONE), None][..], &[]] {
            assert!(check(unsure).unwrap_err().contains("internalError"));
        }
    }
}
