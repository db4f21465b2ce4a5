//! BBB's checksum: `hex(H(callName + Q + secret))` over the raw, undecoded query (`bbb-api.md` 1).
//!
//! Refuses to parse or re-encode: what is verified are the bytes that were received, what is signed are
//! the bytes that are sent.

use std::borrow::Cow;

use sha1::Digest;
use subtle::ConstantTimeEq;

use crate::bbb::secret::Secret;

/// A hash that BBB accepts for checksums (`bbb-api.md` 1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// 40 hex digits. Old Moodle, Greenlight, Python, JS clients.
    Sha1,
    /// 64 hex digits. Every BBB from 2.4 on accepts it, so servers are signed with it unless set.
    #[default]
    Sha256,
    /// 96 hex digits, BBB 2.5.8 and later.
    Sha384,
    /// 128 hex digits, BBB 2.5.8 and later.
    Sha512,
}

impl Algorithm {
    /// All of them, shortest first.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The algorithm whose hex digest has `len` digits; BBB chooses by length alone.
    pub fn of_hex_len(len: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.hex_len() == len)
    }

    /// The algorithm as operators write it: `sha1`, `sha256`, `sha384`, `sha512`, in any case.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// The name in configurations and listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    fn hex_len(self) -> usize {
        match self {
            Self::Sha1 => 40,
            Self::Sha256 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }

    fn digest(self, parts: [&[u8]; 3]) -> Vec<u8> {
        fn hash<D: Digest>(parts: [&[u8]; 3]) -> Vec<u8> {
            parts.into_iter().fold(D::new(), Digest::chain_update).finalize().to_vec()
        }
        match self {
            Self::Sha1 => hash::<sha1::Sha1>(parts),
            Self::Sha256 => hash::<sha2::Sha256>(parts),
            Self::Sha384 => hash::<sha2::Sha384>(parts),
            Self::Sha512 => hash::<sha2::Sha512>(parts),
        }
    }
}

/// `query` with the checksum of `call` under `secret` appended as its last parameter: the string to send.
pub fn sign(call: &str, query: &str, algorithm: Algorithm, secret: &Secret) -> String {
    let sum = algorithm.digest([call.as_bytes(), query.as_bytes(), secret.bytes()]);
    let separator = if query.is_empty() { "" } else { "&" };
    format!("{query}{separator}checksum={}", hex::encode(sum))
}

/// Whether `checksum` (hex in any case) is that of `call` and `hashed` under `secret`, in constant time.
pub fn matches(call: &str, hashed: &str, checksum: &str, secret: &Secret) -> bool {
    let (Some(algorithm), Ok(given)) =
        (Algorithm::of_hex_len(checksum.len()), hex::decode(checksum))
    else {
        return false;
    };
    let expected = algorithm.digest([call.as_bytes(), hashed.as_bytes(), secret.bytes()]);
    expected.ct_eq(&given).into()
}

/// `query` without the checksum `value`: BBB's three literal replacements, in BBB's order
/// (`bbb-api.md` 1.2). A substring operation on purpose: BBB hashes what these leave.
pub fn strip<'q>(query: &'q str, value: &str) -> Cow<'q, str> {
    let alone = format!("checksum={value}");
    // Nearly always it is there once, behind a `&`, and nothing is left to look for.
    if let Some((before, after)) = query.split_once(alone.as_str())
        && let Some(kept) = before.strip_suffix('&')
        && after.is_empty()
        && !kept.contains(alone.as_str())
    {
        return Cow::Borrowed(kept);
    }
    let middle = format!("&checksum={value}");
    let leading = format!("checksum={value}&");
    let mut stripped = Cow::Borrowed(query);
    for needle in [&middle, &leading, &alone] {
        if stripped.contains(needle.as_str()) {
            stripped = Cow::Owned(stripped.replace(needle.as_str(), ""));
        }
    }
    stripped
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &str = "name=Test+Meeting&meetingID=abc123&attendeePW=111222&moderatorPW=333444";

    fn secret(text: &str) -> Secret {
        Secret::new(text).unwrap()
    }

    fn docs_secret() -> Secret {
        secret("639259d4-9dd8-4b25-bf01-95f9567eaf4b")
    }

    #[track_caller]
    fn check(call: &str, query: &str, key: &Secret, sum: &str) {
        assert!(matches(call, query, sum, key), "{call}?{query} with {sum}");
        let algorithm = Algorithm::of_hex_len(sum.len()).unwrap();
        assert!(sign(call, query, algorithm, key).ends_with(sum));
    }

    #[test]
    fn vectors_of_the_wire_description() {
        let key = docs_secret();
        for sum in [
            "1fcbb0c4fc1f039f73aa6d697d2db9ba7f803f17",
            "da9185f7f333cfdfcd6eeac32dca3777510c4c436020d8b887ba5515bd1d189e",
            "891ac633df39d0a1b4f8d597f3e190833216c4b29c4fb51ea3ca72757eeb958d6e7b49a845cf29f5c6019c7d29d029d1",
            "de73ad61d11a5c801b68d4bd6ec5248546085cefb0b25c85f3c46249ea93a3a4b120f92c0a8a58d7512cb77821884951a3b01245f3435dbbef49fff3cc3988b4",
        ] {
            check("create", QUERY, &key, sum);
        }
        check("getMeetings", "", &key, "2027baa7771026e9e93392f55031535d1444c41f");
        check(
            "getMeetings",
            "",
            &key,
            "a5370c5f3d97d56d53b435684cdbc429c2898a3bf9f435518b4279e1e0dbfc8c",
        );
        check(
            "create",
            "",
            &key,
            "272c9555258496a3f19c5ad8f599af2a4ebec031381ff1e37b34842c42c12284",
        );
    }

    #[test]
    fn vectors_of_a_peer() {
        check(
            "getMeetingInfo",
            "meetingID=test-meeting-1",
            &secret("test-1"),
            "7901d9cf0f7e63a7e5eacabfd75fabfb223259d6c045ac5b4d86fb774c371945",
        );
        check(
            "join",
            "meetingID=test-meeting-1&password=test-password&fullName=test-name",
            &secret("test-1-secret"),
            "7a2e95254c94663544952747f30bbed0fb4070b4d97949c37f589b8f3991e069",
        );
    }

    #[test]
    fn hex_digits_count_in_either_case() {
        let sum = "DA9185F7F333CFDFCD6EEAC32DCA3777510C4C436020D8B887BA5515BD1D189E";
        assert!(matches("create", QUERY, sum, &docs_secret()));
    }

    #[test]
    fn wrong_lengths_and_digits_never_match() {
        for sum in ["", "abc", &"x".repeat(40), &"0".repeat(64), &"0".repeat(63), &"é".repeat(20)]
        {
            assert!(!matches("create", QUERY, sum, &docs_secret()), "{sum}");
        }
    }

    #[test]
    fn the_checksum_is_cut_out_wherever_it_stands() {
        let cases = [
            ("a=1&b=2&checksum=X", "a=1&b=2"),
            ("checksum=X&a=1", "a=1"),
            ("a=1&checksum=X&b=2", "a=1&b=2"),
            ("checksum=X", ""),
            ("&checksum=X", ""),
            ("a=1", "a=1"),
            ("a=1&&checksum=X", "a=1&"),
            ("mychecksum=X&a=1", "mya=1"),
        ];
        for (query, expected) in cases {
            assert_eq!(strip(query, "X"), expected, "{query}");
        }
    }

    #[test]
    fn signing_an_empty_query_sends_only_the_checksum() {
        let signed = sign("getMeetings", "", Algorithm::Sha1, &docs_secret());
        assert_eq!(signed, "checksum=2027baa7771026e9e93392f55031535d1444c41f");
    }
}
