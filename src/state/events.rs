//! What happened lately, for operators who ask: a bounded list in plain words. The log has it too. Holds no name
//! and no ID of a meeting.

use std::collections::VecDeque;

use parking_lot::Mutex;

/// About 200 KB.
const EVENTS_MAX: usize = 1_000;

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A server's health changed.
    Health,
    /// An operator set something.
    Operator,
    /// A drain goes on: drained, overdue, announced.
    Drain,
    /// Meetings were found, lost, or are alive twice.
    Meetings,
}

impl Kind {
    /// As it is written in lists.
    pub fn name(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Operator => "operator",
            Self::Drain => "drain",
            Self::Meetings => "meetings",
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, in seconds since 1970.
    pub at_unix_s: u64,
    /// What kind of thing.
    pub kind: Kind,
    /// Which server it is about.
    pub server: String,
    /// A sentence.
    pub text: String,
}

/// The last events.
#[derive(Debug, Default)]
pub struct Events(Mutex<VecDeque<Event>>);

impl Events {
    /// One more.
    pub fn add(&self, event: Event) {
        let mut events = self.0.lock();
        if events.len() >= EVENTS_MAX {
            events.pop_front();
        }
        events.push_back(event);
    }

    /// All that are kept, the newest first.
    pub fn newest_first(&self) -> Vec<Event> {
        self.0.lock().iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        let events = Events::default();
        for n in 0..EVENTS_MAX + 1 {
            let text = n.to_string();
            let server = "bbb1".to_owned();
            events.add(Event { at_unix_s: 0, kind: Kind::Health, server, text });
        }
        let kept = events.newest_first();
        assert_eq!(kept.len(), EVENTS_MAX);
        assert_eq!(kept[0].text, EVENTS_MAX.to_string());
        assert_eq!(kept[EVENTS_MAX - 1].text, "1");
    }
}
