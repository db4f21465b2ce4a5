//! One BBB machine as operators describe it. What probes learn about it lives in the other modules here.

use std::fmt;
use std::sync::Arc;

use crate::bbb::checksum::Algorithm;
use crate::bbb::secret::Secret;
use crate::bbb::url::ApiUrl;
use crate::cluster::placement::capacity::Capacity;
use crate::cluster::placement::tags::Tag;

/// A server within one run of the program: small, copied freely, never used again for another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(pub u32);

/// What operators call a server, unique in the cluster: letters, digits, `.`, `_`, `-`. Appears in logs,
/// listings, metrics and, with the cluster proxy, as the first segment of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerName(Arc<str>);

/// The text is no usable server name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 100 letters, digits, '.', '_' or '-'")]
pub struct BadServerName;

impl ServerName {
    /// Takes `text` as a name.
    pub fn new(text: &str) -> Result<Self, BadServerName> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        let harmless = text != "." && text != "..";
        if (1..=100).contains(&text.len()) && harmless && text.chars().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(BadServerName)
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What operators set, independent of what probes see; no probe ever changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Takes new meetings.
    #[default]
    Serve,
    /// Takes no new ones; those it has go on.
    Drain,
    /// Is not used.
    Disable,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Serve, Self::Drain, Self::Disable];

    /// As operators write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Drain => "drain",
            Self::Disable => "disable",
        }
    }

    /// The mode that operators write so.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

/// What the configuration says about a server.
#[derive(Debug, Clone)]
pub struct ServerSpec {
    /// Unique name.
    pub name: ServerName,
    /// Where its API lives.
    pub url: ApiUrl,
    /// Its own shared secret.
    pub secret: Secret,
    /// What calls to it are signed with.
    pub algorithm: Algorithm,
    /// How many people it carries relative to the others; finite and above 0, 1 unless set.
    pub weight: f64,
    /// How much it may be given.
    pub capacity: Capacity,
    /// What creates may ask for.
    pub tags: Vec<Tag>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_paths_and_labels() {
        for good in ["bbb1", "bbb1.schule.de", "a_b-c.9"] {
            assert_eq!(ServerName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a/b", "a b", "ä", "a%2f", &"x".repeat(101)] {
            assert_eq!(ServerName::new(bad), Err(BadServerName), "{bad}");
        }
    }
}
