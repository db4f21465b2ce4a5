//! Checksums of events. What is hashed differs from release to release of bbb-webhooks, and a receiver cannot
//! see which one it is: servers are believed in every form, front ends get the one that they expect.

use serde::Serialize;
use sha1::Digest;
use subtle::ConstantTimeEq;

use crate::bbb::checksum::Algorithm;
use crate::bbb::query;
use crate::bbb::secret::Secret;

/// What is hashed behind the callback URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// The body as it is sent: bbb-webhooks 3.4 and later, and what the documentation says.
    #[default]
    Body,
    /// `{}`, whatever the body is: 3.0 to 3.3.
    Braces,
    /// The fields as JSON: before 3.0.
    Json,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Body, Self::Braces, Self::Json];

    /// The form of a release of bbb-webhooks, such as `3.4` or `2.6.1`.
    pub fn of_version(version: &str) -> Option<Self> {
        let mut parts = version.split('.').map(str::parse::<u32>);
        let (Ok(major), minor) = (parts.next()?, parts.next().unwrap_or(Ok(0))) else {
            return None;
        };
        if !parts.all(|part| part.is_ok()) {
            return None;
        }
        match (major, minor.ok()?) {
            (1..=2, _) => Some(Self::Json),
            (3, 0..=3) => Some(Self::Braces),
            (3.., _) => Some(Self::Body),
            (0, _) => None,
        }
    }
}

/// The fields in the order in which releases before 3.0 wrote them.
#[derive(Serialize)]
struct Fields<'b, T> {
    event: &'b str,
    timestamp: T,
    domain: &'b str,
}

/// What is hashed between the URL and the secret; a timestamp is a number in some releases, a text in others.
fn hashed(form: Form, body: &str) -> Vec<String> {
    match form {
        Form::Body => vec![body.to_owned()],
        Form::Braces => vec!["{}".to_owned()],
        Form::Json => {
            let field = |name| query::first(body, name).unwrap_or_default();
            let (event, timestamp, domain) = (field("event"), field("timestamp"), field("domain"));
            let number = timestamp.parse::<u64>().ok().and_then(|timestamp| {
                let fields = Fields { event: &event, timestamp, domain: &domain };
                serde_json::to_string(&fields).ok()
            });
            let fields = Fields { event: &event, timestamp: &timestamp, domain: &domain };
            number.into_iter().chain(serde_json::to_string(&fields)).collect()
        }
    }
}

fn digest(algorithm: Algorithm, url: &str, text: &str, secret: &Secret) -> Vec<u8> {
    fn hash<D: Digest>(parts: [&[u8]; 3]) -> Vec<u8> {
        parts.into_iter().fold(D::new(), Digest::chain_update).finalize().to_vec()
    }
    let parts = [url.as_bytes(), text.as_bytes(), secret.bytes()];
    match algorithm {
        Algorithm::Sha1 => hash::<sha1::Sha1>(parts),
        Algorithm::Sha256 => hash::<sha2::Sha256>(parts),
        Algorithm::Sha384 => hash::<sha2::Sha384>(parts),
        Algorithm::Sha512 => hash::<sha2::Sha512>(parts),
    }
}

/// `url` with the checksum of `body` as its last parameter.
pub fn sign(form: Form, algorithm: Algorithm, url: &str, body: &str, secret: &Secret) -> String {
    let hashed = hashed(form, body);
    let text = hashed.first().map(String::as_str).unwrap_or_default();
    let sum = hex::encode(digest(algorithm, url, text, secret));
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}checksum={sum}")
}

/// Whether `checksum` (hex in any case) is that of `body` sent to `url`, in any form, under `secret`.
pub fn matches(url: &str, body: &str, checksum: &str, secret: &Secret) -> bool {
    let (Some(algorithm), Ok(given)) =
        (Algorithm::of_hex_len(checksum.len()), hex::decode(checksum))
    else {
        return false;
    };
    let mut texts = Form::ALL.into_iter().flat_map(|form| hashed(form, body));
    texts.any(|text| digest(algorithm, url, &text, secret).ct_eq(&given).into())
}

/// Whether `authorization` is that of a server set to `auth2_0`: the secret itself. In constant time.
pub fn is_bearer_of(authorization: &str, secret: &Secret) -> bool {
    let given = authorization.strip_prefix("Bearer ").unwrap_or_default();
    let hash = |text: &[u8]| sha2::Sha256::digest(text);
    hash(given.as_bytes()).ct_eq(&hash(secret.bytes())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "domain=bbb1.test&event=%5B%7B%22a%22%3A%22%C3%A9%22%7D%5D&timestamp=17";

    fn secret() -> Secret {
        Secret::new("s").unwrap()
    }

    #[test]
    fn releases_and_their_forms() {
        for (version, form) in [
            ("1.0", Some(Form::Json)),
            ("2.6.1", Some(Form::Json)),
            ("3", Some(Form::Braces)),
            ("3.3.1", Some(Form::Braces)),
            ("3.4", Some(Form::Body)),
            ("3.10.2", Some(Form::Body)),
            ("4.0.0", Some(Form::Body)),
            ("", None),
            ("0.1", None),
            ("3.x", None),
            ("3.4.beta", None),
        ] {
            assert_eq!(Form::of_version(version), form, "{version}");
        }
    }

    #[test]
    fn what_each_form_hashes() {
        assert_eq!(hashed(Form::Body, BODY), [BODY]);
        assert_eq!(hashed(Form::Braces, BODY), ["{}"]);
        assert_eq!(
            hashed(Form::Json, BODY),
            [
                r#"{"event":"[{\"a\":\"é\"}]","timestamp":17,"domain":"bbb1.test"}"#,
                r#"{"event":"[{\"a\":\"é\"}]","timestamp":"17","domain":"bbb1.test"}"#,
            ]
        );
    }

    #[test]
    fn every_form_is_believed_and_no_other_secret() {
        for form in Form::ALL {
            for algorithm in Algorithm::ALL {
                let url = "https://bbb.test/callback/x";
                let signed = sign(form, algorithm, url, BODY, &secret());
                let sum = signed.strip_prefix("https://bbb.test/callback/x?checksum=").unwrap();
                assert!(matches(url, BODY, sum, &secret()));
                assert!(!matches(url, BODY, sum, &Secret::new("other").unwrap()));
                assert!(!matches("https://bbb.test/callback/y", BODY, sum, &secret()));
                let other_body = BODY.replace("17", "18");
                assert_eq!(matches(url, &other_body, sum, &secret()), form == Form::Braces);
            }
        }
        assert!(!matches("u", BODY, "", &secret()) && !matches("u", BODY, "zz", &secret()));
    }

    #[test]
    fn a_vector_made_by_hand() {
        // printf 'http://a.test/?x=1a=bs' | sha1sum
        let signed = sign(Form::Body, Algorithm::Sha1, "http://a.test/?x=1", "a=b", &secret());
        let sum = hex::encode(sha1::Sha1::digest("http://a.test/?x=1a=bs"));
        assert_eq!(signed, format!("http://a.test/?x=1&checksum={sum}"));
    }

    #[test]
    fn the_secret_itself_may_be_the_proof() {
        assert!(is_bearer_of("Bearer s", &secret()));
        for wrong in ["", "Bearer ", "Bearer t", "s", "bearer s"] {
            assert!(!is_bearer_of(wrong, &secret()), "{wrong}");
        }
    }
}
