//! What a getMeetings answer says (`bbb-api.md` 4), with each element's own bytes.

use std::ops::Range;

use crate::bbb::id::{InternalId, MeetingId};
use crate::bbb::xml::{self, Fields, Nonsense, ReturnCode, Wanted};

/// One `<meeting>` of a getMeetings answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenMeeting {
    /// Where the element stands in the answer.
    pub bytes: Range<usize>,
    /// The front end's ID.
    pub id: MeetingId,
    /// The server's ID of this incarnation.
    pub internal: InternalId,
    /// Milliseconds, as the server gave it to the front end.
    pub create_time_ms: Option<u64>,
    /// People online.
    pub people: u32,
    /// Of them, with a microphone channel.
    pub voice: u32,
    /// Of them, with audio that only listens.
    pub listeners: u32,
    /// Published cameras.
    pub cameras: u32,
    /// The internal ID of the parent, for breakout rooms.
    pub parent: Option<InternalId>,
}

const WANTED: Wanted = Wanted {
    fields: &[],
    list: Some(("meetings", "meeting")),
    item_fields: &[
        "meetingID",
        "internalMeetingID",
        "createTime",
        "participantCount",
        "voiceParticipantCount",
        "listenerCount",
        "videoCount",
        "parentMeetingID",
        "breakout/parentMeetingID",
        "isBreakout",
    ],
};

/// Why an answer to getMeetings says nothing about meetings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoList {
    /// It is not BBB's XML.
    #[error(transparent)]
    Nonsense(#[from] Nonsense),
    /// FAILED `checksumError`: the server's secret is not the one that is configured.
    #[error("wrong secret")]
    WrongSecret,
    /// FAILED with another key.
    #[error("the server answered FAILED")]
    Failed,
}

/// The meetings in `body`, in its order. An element without both IDs is passed over: nothing can be done
/// with it.
pub fn read(body: &[u8]) -> Result<Vec<SeenMeeting>, NoList> {
    let answer = xml::read(body, &WANTED)?;
    if answer.failed_with("checksumError") {
        return Err(NoList::WrongSecret);
    }
    if answer.returncode == ReturnCode::Failed {
        return Err(NoList::Failed);
    }
    Ok(answer.items.into_iter().filter_map(|item| seen(item.bytes, &item.fields)).collect())
}

fn seen(bytes: Range<usize>, fields: &Fields) -> Option<SeenMeeting> {
    let parent = ["parentMeetingID", "breakout/parentMeetingID"]
        .into_iter()
        .find_map(|name| fields.text(name))
        .filter(|_| fields.is_true("isBreakout"))
        .and_then(InternalId::new);
    let count = |name: &str| {
        let count = fields.number(name).unwrap_or(0);
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    Some(SeenMeeting {
        bytes,
        id: MeetingId::new(fields.text("meetingID")?)?,
        internal: InternalId::new(fields.text("internalMeetingID")?)?,
        create_time_ms: fields.number("createTime"),
        people: count("participantCount"),
        voice: count("voiceParticipantCount"),
        listeners: count("listenerCount"),
        cameras: count("videoCount"),
        parent,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meetings_and_breakouts_are_read() {
        let body = b"<response><returncode>SUCCESS</returncode><meetings>\
            <meeting><meetingID>a</meetingID><internalMeetingID>i-1</internalMeetingID><createTime>17</createTime>\
            <participantCount>1,024</participantCount><listenerCount>1000</listenerCount>\
            <voiceParticipantCount>24</voiceParticipantCount><videoCount>7</videoCount><isBreakout>false</isBreakout></meeting>\
            <meeting><meetingID>b</meetingID><internalMeetingID>i-2</internalMeetingID><isBreakout>true</isBreakout>\
            <parentMeetingID>i-1</parentMeetingID></meeting>\
            <meeting><meetingID>no internal</meetingID></meeting>\
            </meetings></response>";
        let meetings = read(body).unwrap();
        assert_eq!(meetings.len(), 2);
        assert_eq!((meetings[0].people, meetings[0].create_time_ms), (1024, Some(17)));
        let first = &meetings[0];
        assert_eq!((first.voice, first.listeners, first.cameras), (24, 1000, 7));
        assert_eq!((meetings[1].people, meetings[1].cameras), (0, 0));
        assert_eq!(meetings[0].parent, None);
        assert_eq!(meetings[1].parent, InternalId::new("i-1"));
    }

    #[test]
    fn a_wrong_secret_is_told_from_other_failures() {
        let failed = |key: &str| {
            format!(
                "<response><returncode>FAILED</returncode><messageKey>{key}</messageKey></response>"
            )
        };
        assert_eq!(read(failed("checksumError").as_bytes()), Err(NoList::WrongSecret));
        assert_eq!(read(failed("internalError").as_bytes()), Err(NoList::Failed));
        assert_eq!(read(b"<html/>"), Err(NoList::Nonsense(Nonsense::NotBbb)));
    }
}
