//! JSON web tokens as BBB makes them with a shared secret: HS256 for recordings, HS512 for analytics
//! (`bbb-api.md` 6.2, 6.3).
//!
//! By hand, because it is three base64 texts and an HMAC that rustls' own library has: the crates for it
//! bring RSA and elliptic curves, or a second crypto provider. The algorithm is the reader's choice and never
//! the token's; a token that names another one is refused.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use crate::bbb::secret::Secret;

/// Longer than any that BBB sends.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// How far two clocks may differ.
const LEEWAY_S: u64 = 60;

/// Which HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// With SHA-256.
    Hs256,
    /// With SHA-512.
    Hs512,
}

impl Algorithm {
    /// As tokens name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs512 => "HS512",
        }
    }

    fn key(self, secret: &Secret) -> hmac::Key {
        let algorithm = match self {
            Self::Hs256 => hmac::HMAC_SHA256,
            Self::Hs512 => hmac::HMAC_SHA512,
        };
        hmac::Key::new(algorithm, secret.bytes())
    }
}

/// A token that was read; nothing of it may be believed before [`Unverified::is_signed_by`].
pub struct Unverified<'t> {
    signed: &'t str,
    payload: &'t str,
    algorithm: Algorithm,
    signature: Vec<u8>,
}

impl<'t> Unverified<'t> {
    /// Reads `token`, which must be signed in this way.
    pub fn read(token: &'t str, algorithm: Algorithm) -> Option<Self> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let header: serde_json::Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        // `crit` names rules that a reader must know, and this one knows none.
        if header.get("alg")?.as_str()? != algorithm.name() || header.get("crit").is_some() {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        Some(Self { signed, payload, algorithm, signature })
    }

    /// Whether `secret` made the signature, in constant time.
    pub fn is_signed_by(&self, secret: &Secret) -> bool {
        let key = self.algorithm.key(secret);
        hmac::verify(&key, self.signed.as_bytes(), &self.signature).is_ok()
    }

    /// The claims, unless their time is over at `now_s`.
    pub fn claims(&self, now_s: u64) -> Option<Claims> {
        let bytes = URL_SAFE_NO_PAD.decode(self.payload).ok()?;
        let claims: serde_json::Map<_, _> = serde_json::from_slice(&bytes).ok()?;
        let expired = match claims.get("exp").map(serde_json::Value::as_f64) {
            Some(Some(exp)) => exp + (LEEWAY_S as f64) < now_s as f64,
            Some(None) => true,
            None => false,
        };
        let payload = self.payload.to_owned();
        (!expired).then_some(Claims { payload, claims })
    }
}

/// What a token says.
pub struct Claims {
    /// As it was written, still encoded.
    pub payload: String,
    claims: serde_json::Map<String, serde_json::Value>,
}

impl Claims {
    /// The text of one claim.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name)?.as_str()
    }
}

/// The token of an encoded `payload` under `secret`: the claims keep their bytes.
pub fn sign(payload: &str, algorithm: Algorithm, secret: &Secret) -> String {
    let header = format!(r#"{{"typ":"JWT","alg":"{}"}}"#, algorithm.name());
    let signed = format!("{}.{payload}", URL_SAFE_NO_PAD.encode(header));
    let signature = hmac::sign(&algorithm.key(secret), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

/// `claims`, encoded.
pub fn payload(claims: &str) -> String {
    URL_SAFE_NO_PAD.encode(claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text).unwrap()
    }

    fn read(token: &str) -> Option<Unverified<'_>> {
        Unverified::read(token, Algorithm::Hs256)
    }

    /// The well-known token of jwt.io.
    const KNOWN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";

    #[test]
    fn a_token_from_elsewhere() {
        let token = read(KNOWN).unwrap();
        assert!(token.is_signed_by(&secret("your-256-bit-secret")));
        assert!(!token.is_signed_by(&secret("another-secret")));
        assert_eq!(token.claims(0).unwrap().text("name"), Some("John Doe"));
    }

    #[test]
    fn what_is_signed_is_verified_in_its_own_way_only() {
        for algorithm in [Algorithm::Hs256, Algorithm::Hs512] {
            let token = sign(&payload(r#"{"a":"b"}"#), algorithm, &secret("s"));
            let other =
                if algorithm == Algorithm::Hs256 { Algorithm::Hs512 } else { Algorithm::Hs256 };
            assert!(Unverified::read(&token, algorithm).unwrap().is_signed_by(&secret("s")));
            assert!(Unverified::read(&token, other).is_none());
        }
    }

    #[test]
    fn tokens_without_a_signature_are_none() {
        let none = format!("{}.e30.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#));
        let crit = format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","crit":[]}"#));
        for bad in ["", ".", "..", "a.b", "a.b.c", &none, &crit, &KNOWN.replace('.', "")] {
            assert!(read(bad).is_none(), "{bad}");
        }
        let cut = KNOWN.rsplit_once('.').unwrap().0;
        for signature in ["", "AA"] {
            let token = format!("{cut}.{signature}");
            assert!(read(&token).is_none_or(|t| !t.is_signed_by(&secret("your-256-bit-secret"))));
        }
    }

    #[test]
    fn time_runs_out() {
        let claims = |text: &str, now_s| {
            let token = sign(&payload(text), Algorithm::Hs256, &secret("s"));
            read(&token).unwrap().claims(now_s).is_some()
        };
        assert!(claims(r#"{"exp":1000}"#, 1060));
        assert!(!claims(r#"{"exp":1000}"#, 1061));
        assert!(!claims(r#"{"exp":"never"}"#, 0));
        assert!(claims("{}", u64::MAX));
        assert!(!claims("[]", 0));
    }
}
