//! One meeting and the people in it.
//!
//! Refuses to answer calls: what is asked and how it is printed is the business of `api`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ids;
use crate::params::Params;

/// What BBB does with guests (`bbb-api.md` 3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum GuestPolicy {
    #[default]
    AlwaysAccept,
    AlwaysDeny,
    AskModerator,
}

/// MODERATOR or VIEWER.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Role {
    Moderator,
    Viewer,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Moderator => "MODERATOR",
            Self::Viewer => "VIEWER",
        }
    }
}

/// A person, in the meeting or still on the way.
#[derive(Debug, Clone)]
pub(crate) struct User {
    /// `w_..`
    pub(crate) internal_id: String,
    /// What the front end calls them.
    pub(crate) external_id: String,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) listening: bool,
    pub(crate) voice: bool,
    /// Published webcams.
    pub(crate) cameras: u32,
    /// `userdata-*`, without the prefix.
    pub(crate) custom: Vec<(String, String)>,
    /// A guest whom no moderator has let in yet.
    pub(crate) waiting: bool,
}

impl User {
    /// Somebody without voice or camera.
    pub(crate) fn new(name: &str, external_id: &str, role: Role) -> Self {
        Self {
            internal_id: ids::user(),
            external_id: external_id.to_owned(),
            name: name.to_owned(),
            role,
            listening: false,
            voice: false,
            cameras: 0,
            custom: Vec::new(),
            waiting: false,
        }
    }
}

/// A slide file that came with `create` or `insertDocument`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Document {
    /// Where to fetch it, if it came as a URL.
    pub url: Option<String>,
    /// `filename` or `name`, as given.
    pub name: Option<String>,
    /// Characters of base64 text, 0 for a URL.
    pub inline_bytes: usize,
}

/// A running meeting.
#[derive(Debug, Clone)]
pub(crate) struct Meeting {
    pub(crate) external_id: String,
    pub(crate) internal_id: String,
    pub(crate) name: String,
    pub(crate) create_time: u64,
    pub(crate) attendee_pw: String,
    pub(crate) moderator_pw: String,
    pub(crate) voice_bridge: String,
    pub(crate) dial_number: String,
    pub(crate) record: bool,
    /// Somebody pressed record, or it started by itself.
    pub(crate) recorded: bool,
    pub(crate) duration_min: u64,
    pub(crate) max_users: u64,
    pub(crate) guest_policy: GuestPolicy,
    pub(crate) logout_url: Option<String>,
    pub(crate) ended_url: Option<String>,
    /// `meta_*` without the prefix, lower case.
    pub(crate) meta: BTreeMap<String, String>,
    /// Internal ID of the parent of a breakout room.
    pub(crate) parent: Option<String>,
    pub(crate) sequence: u32,
    pub(crate) free_join: bool,
    /// External IDs of the breakout rooms of this meeting.
    pub(crate) breakouts: Vec<String>,
    /// People who are in.
    pub(crate) users: Vec<User>,
    /// People who called `join` and whose browser has not come yet.
    pub(crate) registered: Vec<User>,
    /// Session tokens given out.
    pub(crate) tokens: Vec<String>,
    pub(crate) has_user_joined: bool,
    /// When the last one left, in ms; `None` while somebody is in or nobody ever was.
    pub(crate) empty_since: Option<u64>,
    /// `end` was called; the meeting goes in a moment.
    pub(crate) ending: bool,
    pub(crate) expire_unused_min: u64,
    pub(crate) expire_empty_min: u64,
    pub(crate) documents: Vec<Document>,
    /// Chat messages as user name and text.
    pub(crate) chat: Vec<(String, String)>,
    /// Every parameter of `create`, decoded, without the checksum.
    pub(crate) params: Vec<(String, String)>,
}

impl Meeting {
    /// The meeting that the parameters of a `create` describe; passwords are made up where missing.
    pub(crate) fn from_params(params: &Params, external: &str, bridge: String, now: u64) -> Self {
        let number = |name: &str, absent: u64| params.number(name).unwrap_or(absent);
        let guest_policy = match params.get("guestPolicy").as_deref() {
            Some("ALWAYS_DENY") => GuestPolicy::AlwaysDeny,
            Some("ASK_MODERATOR") => GuestPolicy::AskModerator,
            _ => GuestPolicy::AlwaysAccept,
        };
        let record = params.is_true("record");
        Self {
            external_id: external.to_owned(),
            internal_id: ids::internal(external, now),
            name: params.get("name").unwrap_or_default(),
            create_time: now,
            attendee_pw: params.filled("attendeePW").unwrap_or_else(ids::password),
            moderator_pw: params.filled("moderatorPW").unwrap_or_else(ids::password),
            voice_bridge: bridge,
            dial_number: params.filled("dialNumber").unwrap_or_else(|| "613-555-1234".to_owned()),
            record,
            recorded: record && params.is_true("autoStartRecording"),
            duration_min: number("duration", 0),
            max_users: number("maxParticipants", 0),
            guest_policy,
            logout_url: params.filled("logoutURL"),
            ended_url: params.filled("meetingEndedURL"),
            meta: metadata(params),
            parent: None,
            sequence: u32::try_from(number("sequence", 0)).unwrap_or(0),
            free_join: params.is_true("freeJoin"),
            breakouts: Vec::new(),
            users: Vec::new(),
            registered: Vec::new(),
            tokens: Vec::new(),
            has_user_joined: false,
            empty_since: None,
            ending: false,
            expire_unused_min: number("meetingExpireIfNoUserJoinedInMinutes", 5),
            expire_empty_min: number("meetingExpireWhenLastUserLeftInMinutes", 1),
            documents: Vec::new(),
            chat: Vec::new(),
            params: params.pairs().iter().filter(|(name, _)| name != "checksum").cloned().collect(),
        }
    }

    /// Somebody's browser has come.
    pub(crate) fn enter(&mut self, user: User) {
        self.users.push(user);
        self.has_user_joined = true;
        self.empty_since = None;
    }

    /// Notes the time if the last one has just left.
    pub(crate) fn note_empty(&mut self, now: u64) {
        if self.users.is_empty() && self.has_user_joined && self.empty_since.is_none() {
            self.empty_since = Some(now);
        }
    }

    pub(crate) fn count(&self, is: impl Fn(&User) -> bool) -> usize {
        self.users.iter().filter(|user| is(user)).count()
    }

    pub(crate) fn cameras(&self) -> u32 {
        self.users.iter().map(|user| user.cameras).sum()
    }
}

/// The `meta_*` parameters with valid names, lower-cased (`bbb-api.md` 2.2).
pub(crate) fn metadata(params: &Params) -> BTreeMap<String, String> {
    let valid = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    params
        .prefixed("meta_")
        .filter(|(name, _)| valid(name))
        .map(|(name, value)| (name.to_lowercase(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_names_are_lower_cased_and_checked() {
        let meta = metadata(&Params::parse("meta_A-b=1&meta_1x=2&meta_x_y=3&Meta_z=4&meta_=5"));
        assert_eq!(meta.into_iter().collect::<Vec<_>>(), [("a-b".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn missing_passwords_are_made_up() {
        let params = Params::parse("name=n&attendeePW=&moderatorPW=mp");
        let meeting = Meeting::from_params(&params, "m", "12345".to_owned(), 1);
        assert_eq!(meeting.attendee_pw.len(), 8);
        assert_eq!(meeting.moderator_pw, "mp");
    }
}
