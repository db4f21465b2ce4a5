//! People by numbers: what tests put into a meeting without any browser.
//!
//! Refuses to go through `join`: nobody here has a session.

use serde::Deserialize;

use crate::state::meeting::{Meeting, Role, User};

/// How many people of which kind are in a meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Crowd {
    /// People with role MODERATOR.
    pub moderators: u32,
    /// People with role VIEWER.
    pub viewers: u32,
    /// How many of them have joined the audio with a microphone.
    pub voices: u32,
    /// How many of the others listen only.
    pub listeners: u32,
    /// Published webcams, spread over the people; the last one has those that are left.
    pub videos: u32,
}

/// Lets `count` people in; the first one into an empty meeting is a moderator.
pub(crate) fn add(meeting: &mut Meeting, count: u32) {
    for _ in 0..count {
        let number = meeting.users.len() + 1;
        let role = if meeting.users.is_empty() { Role::Moderator } else { Role::Viewer };
        meeting.enter(User::new(&format!("User {number}"), &format!("user-{number}"), role));
    }
}

/// Lets the last `count` people out.
pub(crate) fn remove(meeting: &mut Meeting, count: u32, now: u64) {
    let left = meeting.users.len().saturating_sub(count as usize);
    meeting.users.truncate(left);
    meeting.note_empty(now);
}

/// Replaces everybody in the meeting.
pub(crate) fn set(meeting: &mut Meeting, crowd: Crowd, now: u64) {
    meeting.users.clear();
    let total = crowd.moderators + crowd.viewers;
    for index in 0..total {
        let role = if index < crowd.moderators { Role::Moderator } else { Role::Viewer };
        let number = index + 1;
        let mut user = User::new(&format!("User {number}"), &format!("user-{number}"), role);
        user.voice = index < crowd.voices;
        user.listening = !user.voice && index < crowd.voices + crowd.listeners;
        user.cameras = u32::from(index < crowd.videos);
        if number == total {
            user.cameras += crowd.videos.saturating_sub(total);
        }
        meeting.enter(user);
    }
    meeting.note_empty(now);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Params;

    #[test]
    fn crowds_add_up() {
        let mut meeting = Meeting::from_params(&Params::default(), "m", "1".to_owned(), 1);
        let crowd = Crowd { moderators: 1, viewers: 4, voices: 2, listeners: 2, videos: 7 };
        set(&mut meeting, crowd, 2);
        assert_eq!(meeting.users.len(), 5);
        assert_eq!(meeting.count(|user| user.role == Role::Moderator), 1);
        assert_eq!(meeting.count(|user| user.voice), 2);
        assert_eq!(meeting.count(|user| user.listening), 2);
        assert_eq!(meeting.cameras(), 7);
        remove(&mut meeting, 9, 3);
        assert_eq!((meeting.users.len(), meeting.empty_since), (0, Some(3)));
    }
}
