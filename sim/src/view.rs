//! What tests and scripts see of a meeting.
//!
//! A copy: changing it changes nothing on the server.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::state::meeting::{Document, Meeting, Role};

/// One live meeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MeetingView {
    /// `meetingID` as the caller of `create` gave it.
    pub external_id: String,
    /// SHA-1 of the external ID, `-`, create time.
    pub internal_id: String,
    /// The meeting's name.
    pub name: String,
    /// Milliseconds since 1970.
    pub create_time: u64,
    /// Password for viewers.
    pub attendee_pw: String,
    /// Password for moderators.
    pub moderator_pw: String,
    /// Voice bridge, digits.
    pub voice_bridge: String,
    /// `meta_*` without the prefix, lower case.
    pub metadata: BTreeMap<String, String>,
    /// Internal ID of the parent, if this is a breakout room.
    pub parent: Option<String>,
    /// External IDs of the breakout rooms.
    pub breakouts: Vec<String>,
    /// People who are in.
    pub participants: usize,
    /// People who called `join` and have not opened the client yet.
    pub registered: usize,
    /// Moderators among the participants.
    pub moderators: usize,
    /// Participants with a microphone.
    pub voices: usize,
    /// Participants who listen only.
    pub listeners: usize,
    /// Published webcams.
    pub videos: u32,
    /// Full names of the participants.
    pub people: Vec<String>,
    /// `end` was called; the meeting goes in a moment.
    pub ending: bool,
    /// Slides received with `create` and `insertDocument`.
    pub documents: Vec<Document>,
    /// Chat messages sent through the API: user name and text.
    pub chat: Vec<(String, String)>,
    /// Every parameter of `create`, decoded, without the checksum.
    pub params: Vec<(String, String)>,
}

impl From<&Meeting> for MeetingView {
    fn from(meeting: &Meeting) -> Self {
        Self {
            external_id: meeting.external_id.clone(),
            internal_id: meeting.internal_id.clone(),
            name: meeting.name.clone(),
            create_time: meeting.create_time,
            attendee_pw: meeting.attendee_pw.clone(),
            moderator_pw: meeting.moderator_pw.clone(),
            voice_bridge: meeting.voice_bridge.clone(),
            metadata: meeting.meta.clone(),
            parent: meeting.parent.clone(),
            breakouts: meeting.breakouts.clone(),
            participants: meeting.users.len(),
            registered: meeting.registered.len(),
            moderators: meeting.count(|user| user.role == Role::Moderator),
            voices: meeting.count(|user| user.voice),
            listeners: meeting.count(|user| user.listening),
            videos: meeting.cameras(),
            people: meeting.users.iter().map(|user| user.name.clone()).collect(),
            ending: meeting.ending,
            documents: meeting.documents.clone(),
            chat: meeting.chat.clone(),
            params: meeting.params.clone(),
        }
    }
}
