//! The identifiers on the wire. Newtypes, so that an external ID is never taken for an internal one.

use std::fmt;
use std::sync::Arc;

use sha2::Digest;

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

/// A meeting where its ID must not be readable: in files. 128 bits of SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash([u8; 16]);

impl KeyHash {
    /// Of a tenant's meeting.
    pub fn of(tenant: TenantId, id: &MeetingId) -> Self {
        let digest = sha2::Sha256::new_with_prefix(tenant.0.to_be_bytes());
        let digest = digest.chain_update(id.as_str()).finalize();
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        Self(hash)
    }

    /// Reads what `Display` wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut hash = [0; 16];
        hex::decode_to_slice(text, &mut hash).ok()?;
        Some(Self(hash))
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_told_apart_and_read_back() {
        let (m, n) = (MeetingId::new("m").unwrap(), MeetingId::new("n").unwrap());
        let hash = KeyHash::of(TenantId::DEFAULT, &m);
        assert_eq!(KeyHash::parse(&hash.to_string()), Some(hash));
        assert_ne!(hash, KeyHash::of(TenantId::DEFAULT, &n));
        assert_ne!(hash, KeyHash::of(TenantId(1), &m));
        assert_eq!(KeyHash::parse("xyz"), None);
    }

    #[test]
    fn meeting_ids_are_cleaned_as_bbb_cleans_them() {
        for (given, expected) in [(" a b ", "a b"), ("a\u{7}b\n", "ab"), ("ü[1]", "ü[1]")] {
            assert_eq!(MeetingId::new(given).unwrap().as_str(), expected);
        }
        assert_eq!(MeetingId::new(" \t"), None);
    }
}
