//! For how long an answer about a meeting is given again.

use std::time::Duration;

use crate::bbb::call::CallName;

/// For how long what a server answered is given again instead of asking anew, by call. Zero: never, and identical
/// calls are not put together either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// getMeetingInfo.
    pub meeting_info: Duration,
    /// isMeetingRunning.
    pub meeting_running: Duration,
}

impl Freshness {
    /// The same for all calls.
    pub fn all(freshness: Duration) -> Self {
        Self { meeting_info: freshness, meeting_running: freshness }
    }

    /// That of `name`; nothing for a call that does more than look.
    pub fn of(&self, name: &CallName) -> Duration {
        if *name == CallName::GetMeetingInfo {
            self.meeting_info
        } else if *name == CallName::IsMeetingRunning {
            self.meeting_running
        } else {
            Duration::ZERO
        }
    }
}

impl Default for Freshness {
    fn default() -> Self {
        Self::all(Duration::from_secs(1))
    }
}
