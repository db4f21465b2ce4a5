//! The identifiers on the wire. Newtypes, so that an external ID is never taken for an internal one.

use std::fmt;
use std::sync::Arc;

/// A meeting as its front end calls it. Any Unicode; shown nowhere in logs (it often is a name).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MeetingId(Arc<str>);

impl MeetingId {
    /// What BBB makes of a `meetingID` parameter before it looks anything up: control characters removed,
    /// then trimmed (`bbb-api.md` 9.1). `None` if nothing is left: an empty ID is an absent one.
    pub fn new(text: &str) -> Option<Self> {
        let clean = if text.chars().any(char::is_control) {
            text.chars().filter(|c| !c.is_control()).collect::<String>().trim().into()
        } else {
            text.trim().into()
        };
        Some(Self(clean)).filter(|id: &Self| !id.0.is_empty())
    }

    /// The ID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for MeetingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MeetingId(MASKED)")
    }
}

/// One incarnation of a meeting as its server calls it: sha1 of the external ID, `-`, createTime
/// (`bbb-api.md` 9.1). Also the ID of its recording.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InternalId(Arc<str>);

impl InternalId {
    /// Takes `text` as a server gave it; `None` if it is empty.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// The ID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A customer within one run of the program. A set-up without customers has one, [`TenantId::DEFAULT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(pub u32);

impl TenantId {
    /// The only tenant of a set-up that names none; meetings made elsewhere are adopted into it.
    pub const DEFAULT: Self = Self(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meeting_ids_are_cleaned_as_bbb_cleans_them() {
        for (given, expected) in [(" a b ", "a b"), ("a\u{7}b\n", "ab"), ("ü[1]", "ü[1]")] {
            assert_eq!(MeetingId::new(given).unwrap().as_str(), expected);
        }
        assert_eq!(MeetingId::new(" \t"), None);
    }
}
