//! BBB's checksum engine (`bbb-api.md` 1), written for this simulator alone.
//!
//! Shares nothing with any balancer's code on purpose: a mistake in one of them shows against the other.
//! Refuses constant-time comparison, which a simulator does not need.

use sha1::Digest;

use crate::config::Profile;
use crate::params::{Params, encode, sanitize};

/// A hash for checksums. The length of the received hex digits chooses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// 40 hex digits.
    Sha1,
    /// 64 hex digits.
    Sha256,
    /// 96 hex digits.
    Sha384,
    /// 128 hex digits.
    Sha512,
}

impl Algorithm {
    /// The four that BBB 2.5.8 and later support by default.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    fn of_length(hex_digits: usize) -> Option<Self> {
        match hex_digits {
            40 => Some(Self::Sha1),
            64 => Some(Self::Sha256),
            96 => Some(Self::Sha384),
            128 => Some(Self::Sha512),
            _ => None,
        }
    }

    /// Lower-case hex digits of the hash of `text`.
    pub(crate) fn hex(self, text: &str) -> String {
        match self {
            Self::Sha1 => hex::encode(sha1::Sha1::digest(text)),
            Self::Sha256 => hex::encode(sha2::Sha256::digest(text)),
            Self::Sha384 => hex::encode(sha2::Sha384::digest(text)),
            Self::Sha512 => hex::encode(sha2::Sha512::digest(text)),
        }
    }
}

/// What the check of one call found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Valid,
    /// No checksum, or an empty one.
    Missing,
    Mismatch,
}

/// What one call is checked against.
pub(crate) struct Check<'a> {
    /// The call name that is hashed, such as `create` or `hooks/create`.
    pub(crate) call: &'a str,
    /// The raw query, without `?`; empty if there is none.
    pub(crate) query: &'a str,
    /// Parameters of the query and the form body.
    pub(crate) params: &'a Params,
    /// An empty secret switches the check off, as in BBB.
    pub(crate) secret: &'a str,
    pub(crate) algorithms: &'a [Algorithm],
    pub(crate) profile: Profile,
    /// Whether BBB 2.x would rebuild the query from a form body (not on the recording calls).
    pub(crate) rebuild: bool,
}

impl Check<'_> {
    pub(crate) fn verdict(&self) -> Verdict {
        if self.secret.is_empty() {
            return Verdict::Valid;
        }
        let given: Vec<&(String, String)> =
            self.params.pairs().iter().filter(|(name, _)| name.trim() == "checksum").collect();
        if given.len() > 1 && self.profile == Profile::V30 {
            return Verdict::Mismatch;
        }
        // A padded name is trimmed and then overwrites the real one.
        let padded = given.iter().find(|(name, _)| name != "checksum");
        let Some((_, value)) = padded.or(given.first()) else {
            return Verdict::Missing;
        };
        let value = sanitize(value);
        if value.is_empty() {
            return Verdict::Missing;
        }
        let Some(algorithm) = Algorithm::of_length(value.len()) else {
            return Verdict::Mismatch;
        };
        let expected =
            algorithm.hex(&format!("{}{}{}", self.call, self.hashed(&value), self.secret));
        if self.algorithms.contains(&algorithm) && expected.eq_ignore_ascii_case(&value) {
            Verdict::Valid
        } else {
            Verdict::Mismatch
        }
    }

    fn hashed(&self, value: &str) -> String {
        if self.query.is_empty() && self.rebuild && self.profile == Profile::V27 {
            rebuilt(self.params)
        } else {
            without(self.query, value)
        }
    }
}

/// `query` without the checksum `value`, by BBB's three literal replacements.
fn without(query: &str, value: &str) -> String {
    query
        .replace(&format!("&checksum={value}"), "")
        .replace(&format!("checksum={value}&"), "")
        .replace(&format!("checksum={value}"), "")
}

/// The query that BBB 2.x makes of a form body: sorted by name in UTF-16 order, values encoded, names not.
fn rebuilt(params: &Params) -> String {
    let mut pairs: Vec<(Vec<u16>, &str, &str)> = params
        .pairs()
        .iter()
        .filter(|(name, _)| name != "checksum")
        .map(|(name, value)| (name.encode_utf16().collect(), name.as_str(), value.as_str()))
        .collect();
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    let joined: Vec<String> =
        pairs.iter().map(|(_, name, value)| format!("{name}={}", encode(value))).collect();
    joined.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "639259d4-9dd8-4b25-bf01-95f9567eaf4b";
    const Q: &str = "name=Test+Meeting&meetingID=abc123&attendeePW=111222&moderatorPW=333444";
    const SHA1: &str = "1fcbb0c4fc1f039f73aa6d697d2db9ba7f803f17";
    const SHA256: &str = "da9185f7f333cfdfcd6eeac32dca3777510c4c436020d8b887ba5515bd1d189e";
    const SHA384: &str = "891ac633df39d0a1b4f8d597f3e190833216c4b29c4fb51ea3ca72757eeb958d6e7b49a845cf29f5c6019c7d29d029d1";
    const SHA512: &str = "de73ad61d11a5c801b68d4bd6ec5248546085cefb0b25c85f3c46249ea93a3a4b120f92c0a8a58d7512cb77821884951a3b01245f3435dbbef49fff3cc3988b4";

    fn verdict(profile: Profile, call: &str, query: &str, body: &str) -> Verdict {
        let mut params = Params::parse(query);
        params.append(body);
        let algorithms = &Algorithm::ALL;
        let check = Check {
            call,
            query,
            params: &params,
            secret: SECRET,
            algorithms,
            profile,
            rebuild: true,
        };
        check.verdict()
    }

    #[track_caller]
    fn check(call: &str, query: &str, expected: Verdict) {
        for profile in [Profile::V27, Profile::V30] {
            assert_eq!(verdict(profile, call, query, ""), expected, "{profile:?} {call}?{query}");
        }
    }

    #[test]
    fn published_vectors_hold() {
        for sum in [SHA1, SHA256, SHA384, SHA512] {
            check("create", &format!("{Q}&checksum={sum}"), Verdict::Valid);
            check("create", &format!("checksum={sum}&{Q}"), Verdict::Valid);
            check("create", &format!("{Q}&checksum={}", sum.to_uppercase()), Verdict::Valid);
            check("join", &format!("{Q}&checksum={sum}"), Verdict::Mismatch);
        }
        let middle = Q.replace("&attendeePW", &format!("&checksum={SHA256}&attendeePW"));
        check("create", &middle, Verdict::Valid);
        for sum in [
            "2027baa7771026e9e93392f55031535d1444c41f",
            "a5370c5f3d97d56d53b435684cdbc429c2898a3bf9f435518b4279e1e0dbfc8c",
        ] {
            check("getMeetings", &format!("checksum={sum}"), Verdict::Valid);
        }
    }

    #[test]
    fn missing_and_wrong_checksums_differ() {
        check("create", Q, Verdict::Missing);
        check("create", &format!("{Q}&checksum="), Verdict::Missing);
        check("create", &format!("{Q}&checksum=123"), Verdict::Mismatch);
        check("create", &format!("{Q}&x=1&checksum={SHA256}"), Verdict::Mismatch);
        check("create", &format!("{Q}&%63hecksum={SHA256}"), Verdict::Mismatch);
        check("create", &format!("{Q}&checksum={SHA256}&%20checksum=x"), Verdict::Mismatch);
    }

    #[test]
    fn a_second_checksum_is_refused_by_3_0_only() {
        let twice = format!("{Q}&checksum={SHA256}&checksum={SHA256}");
        assert_eq!(verdict(Profile::V27, "create", &twice, ""), Verdict::Valid);
        assert_eq!(verdict(Profile::V30, "create", &twice, ""), Verdict::Mismatch);
    }

    #[test]
    fn a_form_body_is_rebuilt_by_2_x_and_ignored_by_3_0() {
        let sorted = "0b89c2ebcfefb76772cbcf19386c33561f66f6ae";
        let empty = "272c9555258496a3f19c5ad8f599af2a4ebec031381ff1e37b34842c42c12284";
        let with = |sum: &str| format!("{Q}&checksum={sum}");
        assert_eq!(verdict(Profile::V27, "create", "", &with(sorted)), Verdict::Valid);
        assert_eq!(verdict(Profile::V30, "create", "", &with(sorted)), Verdict::Mismatch);
        assert_eq!(verdict(Profile::V27, "create", "", &with(empty)), Verdict::Mismatch);
        assert_eq!(verdict(Profile::V30, "create", "", &with(empty)), Verdict::Valid);
        // With only the checksum in the URL both agree.
        for profile in [Profile::V27, Profile::V30] {
            let url = format!("checksum={empty}");
            assert_eq!(verdict(profile, "create", &url, Q), Verdict::Valid);
        }
    }

    #[test]
    fn a_restricted_server_refuses_other_algorithms() {
        let query = format!("{Q}&checksum={SHA1}");
        let params = Params::parse(&query);
        let only = |algorithms| Check {
            call: "create",
            query: &query,
            params: &params,
            secret: SECRET,
            algorithms,
            profile: Profile::V30,
            rebuild: true,
        };
        assert_eq!(only(&[Algorithm::Sha512]).verdict(), Verdict::Mismatch);
        assert_eq!(only(&[Algorithm::Sha1]).verdict(), Verdict::Valid);
    }
}
