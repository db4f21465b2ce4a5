//! The IDs a BBB server makes (`bbb-api.md` 9): internal meeting IDs, breakout IDs, tokens.
//!
//! Refuses to be secure: tokens come from a fast generator, since nobody attacks a simulator.

use sha1::{Digest, Sha1};

const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const MIXED: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const HEX: &[u8] = b"0123456789ABCDEF";

/// 40 lower-case hex digits of the SHA-1 of `text`.
pub(crate) fn sha1_hex(text: &str) -> String {
    hex::encode(Sha1::digest(text.as_bytes()))
}

/// The internal ID of a meeting, which is also the ID of its recording.
pub(crate) fn internal(external: &str, create_time_ms: u64) -> String {
    format!("{}-{create_time_ms}", sha1_hex(external))
}

/// The external ID of breakout room number `sequence` (from 1) of the meeting `parent_internal`.
pub(crate) fn breakout_external(parent_internal: &str, ts_ms: u64, sequence: u32) -> String {
    format!("{}-{ts_ms}", sha1_hex(&format!("{parent_internal}-{ts_ms}-{sequence}")))
}

/// The ID of a user as the server knows it: `w_` and 12 letters or digits.
pub(crate) fn user() -> String {
    format!("w_{}", random(LOWER, 12))
}

/// A session token, 16 letters or digits.
pub(crate) fn session_token() -> String {
    random(LOWER, 16)
}

/// An auth token, 12 letters or digits.
pub(crate) fn auth_token() -> String {
    random(LOWER, 12)
}

/// A password for a meeting that was created without: 8 letters or digits.
pub(crate) fn password() -> String {
    random(MIXED, 8)
}

/// A `JSESSIONID`: 32 hex digits.
pub(crate) fn cookie() -> String {
    random(HEX, 32)
}

/// A hook ID in the shape of a UUID, as bbb-webhooks 3 makes them.
pub(crate) fn hook() -> String {
    let hex = random(b"0123456789abcdef", 32);
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// A voice bridge of `digits` digits that does not start with 0.
pub(crate) fn voice_bridge(digits: u32) -> String {
    let low = 10_u64.pow(digits - 1);
    fastrand::u64(low..low * 10).to_string()
}

fn random(alphabet: &[u8], length: usize) -> String {
    (0..length).map(|_| char::from(alphabet[fastrand::usize(..alphabet.len())])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_ids_follow_published_samples() {
        let cases = [
            ("Test", "640ab2bae07bedc4c163f679a746f7ab7fb5d1fa"),
            ("English 101", "6e35e3b2778883f5db637d7a5dba0a427f692e91"),
            ("abc123", "6367c48dd193d56ea7b0baad25b19455e529f5ee"),
            ("random-1730297", "e2423c8ce6a4f724a3d3528574397badbb97ef77"),
        ];
        for (external, hash) in cases {
            assert_eq!(internal(external, 7), format!("{hash}-7"));
        }
    }

    #[test]
    fn breakout_ids_follow_the_published_rule() {
        let parent = internal("abc123", 1_700_000_000_000);
        let external = breakout_external(&parent, 1_700_000_100_000, 1);
        assert_eq!(external, "ae422398db012c81815fc537d462223006e5ff4b-1700000100000");
        assert_eq!(
            internal(&external, 1_700_000_100_000),
            "e8ba8de89440277648c34c854106074ae708beed-1700000100000"
        );
    }

    #[test]
    fn tokens_have_their_shapes() {
        assert_eq!(user().len(), 14);
        assert_eq!(session_token().len(), 16);
        assert_eq!(auth_token().len(), 12);
        assert_eq!(password().len(), 8);
        assert_eq!(cookie().len(), 32);
        assert_eq!(hook().len(), 36);
        assert_eq!(voice_bridge(5).len(), 5);
    }
}
