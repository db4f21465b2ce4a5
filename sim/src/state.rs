//! Everything a simulated server remembers: meetings, sessions, recordings, hooks.
//!
//! Plain data behind one lock. Refuses I/O: whoever ends a meeting here takes care of its callbacks.

use std::collections::{BTreeMap, HashMap};

use crate::checksum::Algorithm;
use crate::config::SimConfig;
use crate::ids;
use crate::state::hook::Hook;
use crate::state::meeting::Meeting;
use crate::state::recording::Recording;
use crate::state::session::Session;

pub(crate) mod crowd;
pub(crate) mod hook;
pub(crate) mod meeting;
pub(crate) mod recording;
pub(crate) mod session;

/// What one server knows.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Can change while running, unlike the rest of the configuration.
    pub(crate) secret: String,
    pub(crate) algorithms: Vec<Algorithm>,
    /// By internal ID, ordered so that a prefix is one range look-up.
    meetings: BTreeMap<String, Meeting>,
    /// Voice bridge to internal ID.
    bridges: HashMap<String, String>,
    /// By session token.
    pub(crate) sessions: HashMap<String, Session>,
    /// By record ID, ordered for prefix look-ups.
    pub(crate) recordings: BTreeMap<String, Recording>,
    pub(crate) hooks: Vec<Hook>,
    prefix_lookup: bool,
}

impl State {
    pub(crate) fn new(config: &SimConfig) -> Self {
        Self {
            secret: config.secret.clone(),
            algorithms: config.algorithms.clone(),
            prefix_lookup: config.prefix_lookup,
            ..Self::default()
        }
    }

    /// All live meetings, in no meaningful order.
    pub(crate) fn meetings(&self) -> impl Iterator<Item = &Meeting> {
        self.meetings.values()
    }

    /// The internal ID that `id` stands for: an internal ID or a prefix of one, else an external ID
    /// (`bbb-api.md` 9.3, in this order).
    pub(crate) fn resolve(&self, id: &str) -> Option<String> {
        if id.is_empty() {
            return None;
        }
        let direct = if self.prefix_lookup {
            self.first_with_prefix(id)
        } else {
            self.meetings.get_key_value(id).map(|(key, _)| key)
        };
        direct.or_else(|| self.first_with_prefix(&ids::sha1_hex(id))).cloned()
    }

    /// The meeting with exactly this external ID, as `create` looks for it.
    pub(crate) fn by_external(&self, external: &str) -> Option<&Meeting> {
        self.meetings.get(self.first_with_prefix(&ids::sha1_hex(external))?)
    }

    /// The meeting that `id` stands for.
    pub(crate) fn meeting(&self, id: &str) -> Option<&Meeting> {
        self.meetings.get(&self.resolve(id)?)
    }

    /// As [`Self::meeting`], to change it.
    pub(crate) fn meeting_mut(&mut self, id: &str) -> Option<&mut Meeting> {
        let internal = self.resolve(id)?;
        self.meetings.get_mut(&internal)
    }

    /// The owner of a voice bridge, if it is taken.
    pub(crate) fn bridge_taken(&self, bridge: &str) -> bool {
        self.bridges.contains_key(bridge)
    }

    /// A voice bridge nobody has: 5 digits, more when those run out.
    pub(crate) fn free_bridge(&self) -> String {
        let mut tries = 0;
        loop {
            let bridge = ids::voice_bridge(5 + tries / 10);
            if !self.bridge_taken(&bridge) || tries == 100 {
                return bridge;
            }
            tries += 1;
        }
    }

    pub(crate) fn insert(&mut self, meeting: Meeting) {
        self.bridges.insert(meeting.voice_bridge.clone(), meeting.internal_id.clone());
        self.meetings.insert(meeting.internal_id.clone(), meeting);
    }

    /// Removes the meeting with exactly this internal ID, and its sessions.
    pub(crate) fn remove(&mut self, internal_id: &str) -> Option<Meeting> {
        let meeting = self.meetings.remove(internal_id)?;
        self.bridges.remove(&meeting.voice_bridge);
        for token in &meeting.tokens {
            self.sessions.remove(token);
        }
        Some(meeting)
    }

    /// Loses meetings and sessions, as a restart does. Recordings are files and stay.
    pub(crate) fn lose_all(&mut self) {
        self.meetings.clear();
        self.bridges.clear();
        self.sessions.clear();
        self.hooks.clear();
    }

    fn first_with_prefix(&self, prefix: &str) -> Option<&String> {
        let (key, _) = self.meetings.range(prefix.to_owned()..).next()?;
        key.starts_with(prefix).then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Params;

    fn state_with(externals: &[&str]) -> State {
        let mut state = State::new(&SimConfig::default());
        for external in externals {
            let bridge = state.free_bridge();
            let params = Params::parse(&format!("meetingID={external}&name=n"));
            state.insert(Meeting::from_params(&params, external, bridge, 1_700_000_000_000));
        }
        state
    }

    #[test]
    fn meetings_are_found_by_external_internal_and_prefix() {
        let state = state_with(&["room-1", "room-2"]);
        let internal = ids::internal("room-1", 1_700_000_000_000);
        for id in ["room-1", &internal, &internal[..40], &internal[..9]] {
            assert_eq!(state.resolve(id).as_ref(), Some(&internal), "{id}");
        }
        assert_eq!(state.resolve("room-3"), None);
        assert_eq!(state.resolve(""), None);
    }

    #[test]
    fn prefixes_can_be_switched_off() {
        let mut state = state_with(&["room-1"]);
        state.prefix_lookup = false;
        let internal = ids::internal("room-1", 1_700_000_000_000);
        assert_eq!(state.resolve(&internal[..9]), None);
        assert_eq!(state.resolve("room-1"), Some(internal));
    }

    #[test]
    fn removing_frees_the_voice_bridge() {
        let mut state = state_with(&["room-1"]);
        let internal = state.resolve("room-1").unwrap();
        let bridge = state.meeting("room-1").unwrap().voice_bridge.clone();
        assert!(state.bridge_taken(&bridge));
        state.remove(&internal);
        assert!(!state.bridge_taken(&bridge));
    }
}
