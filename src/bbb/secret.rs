//! Shared secrets. A [`Secret`] can be hashed with and compared in nothing but a digest; it refuses to
//! be printed, so that no log line, error or debug dump ever holds one (design rule 9).

use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;

/// A BBB shared secret ("securitySalt"): plain bytes that are appended to what is hashed.
///
/// Never empty: an empty salt switches BBB's check off (`bbb-api.md` 1.3), so it is refused where a
/// secret enters the program.
#[derive(Clone)]
pub struct Secret(Arc<str>);

/// The text given as a secret was empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret is empty")]
pub struct EmptySecret;

impl Secret {
    /// Takes `text` as it is, without trimming.
    pub fn new(text: &str) -> Result<Self, EmptySecret> {
        if text.is_empty() { Err(EmptySecret) } else { Ok(Self(text.into())) }
    }

    /// The bytes to hash. Called only where a checksum or a token is computed.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether somebody showed this secret, in a time that tells nothing but its length.
    pub fn is_shown(&self, shown: &str) -> bool {
        self.bytes().ct_eq(shown.as_bytes()).into()
    }

    /// Whether both are the same secret; for configuration checks, never for anything a client sends.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(MASKED)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_nothing_of_it() {
        let secret = Secret::new("hunter2").unwrap();
        assert_eq!(format!("{secret:?} {secret:#?}"), "Secret(MASKED) Secret(MASKED)");
    }

    #[test]
    fn an_empty_secret_is_refused() {
        assert_eq!(Secret::new("").unwrap_err(), EmptySecret);
    }
}
