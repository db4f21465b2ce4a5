//! Recordings as a server keeps them (`bbb-api.md` 5).
//!
//! Refuses files: playback URLs lead nowhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids;

/// Where a recording is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordingState {
    /// Being made; no playback yet.
    Processing,
    /// Made, not published yet; no playback.
    Processed,
    /// Visible to everyone.
    #[default]
    Published,
    /// Hidden.
    Unpublished,
    /// Gone, but still known.
    Deleted,
}

impl RecordingState {
    /// The name in answers and in the `state` filter.
    pub fn name(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Processed => "processed",
            Self::Published => "published",
            Self::Unpublished => "unpublished",
            Self::Deleted => "deleted",
        }
    }
}

/// One playback format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlaybackFormat {
    /// `presentation`, `video`, `podcast` ..
    #[serde(rename = "type")]
    pub kind: String,
    /// Empty: made up from the server's URL and the record ID.
    pub url: String,
    /// Minutes.
    pub length_min: u64,
    /// Bytes.
    pub size: u64,
    /// URLs of preview images; each becomes an `<image>`.
    pub previews: Vec<String>,
}

impl Default for PlaybackFormat {
    fn default() -> Self {
        Self {
            kind: "presentation".to_owned(),
            url: String::new(),
            length_min: 1,
            size: 1_000_000,
            previews: Vec::new(),
        }
    }
}

/// A text track (captions) of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TextTrack {
    /// `subtitles` or `captions`.
    pub kind: String,
    /// RFC 5646, such as `en-US`.
    pub lang: String,
    /// Shown to people.
    pub label: String,
}

/// One recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recording {
    /// The internal ID of the recorded meeting. Empty: derived from `meeting_id` and `start_ms`.
    pub record_id: String,
    /// The external ID of the recorded meeting.
    pub meeting_id: String,
    /// The name of the recorded meeting.
    pub name: String,
    /// State; `<published>` says whether it is [`RecordingState::Published`].
    pub state: RecordingState,
    /// Start, ms since 1970.
    pub start_ms: u64,
    /// End, ms since 1970.
    pub end_ms: u64,
    /// People who took part.
    pub participants: u32,
    /// Bytes of the raw material.
    pub raw_size: u64,
    /// Whether the meeting was a breakout room.
    pub is_breakout: bool,
    /// `meta_*` of the meeting without the prefix.
    pub meta: BTreeMap<String, String>,
    /// Playback formats.
    pub formats: Vec<PlaybackFormat>,
    /// Captions.
    pub tracks: Vec<TextTrack>,
}

impl Default for Recording {
    fn default() -> Self {
        Self {
            record_id: String::new(),
            meeting_id: String::new(),
            name: "Recording".to_owned(),
            state: RecordingState::default(),
            start_ms: 1_700_000_000_000,
            end_ms: 1_700_000_060_000,
            participants: 1,
            raw_size: 951_067,
            is_breakout: false,
            meta: BTreeMap::new(),
            formats: vec![PlaybackFormat::default()],
            tracks: Vec::new(),
        }
    }
}

impl Recording {
    /// A published presentation of one minute, of the meeting `meeting_id` that started at `start_ms`.
    pub fn of(meeting_id: &str, start_ms: u64) -> Self {
        Self {
            record_id: ids::internal(meeting_id, start_ms),
            meeting_id: meeting_id.to_owned(),
            start_ms,
            end_ms: start_ms + 60_000,
            ..Self::default()
        }
    }

    /// Whether everyone can see it.
    pub fn published(&self) -> bool {
        self.state == RecordingState::Published
    }

    /// Fills in what was left empty.
    pub(crate) fn complete(mut self) -> Self {
        if self.record_id.is_empty() {
            self.record_id = ids::internal(&self.meeting_id, self.start_ms);
        }
        self
    }
}
