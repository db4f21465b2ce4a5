//! JSON web tokens as BBB signs them with its secret: HS256 and HS512 (`bbb-api.md` 6.2, 6.3).
//!
//! Signs only; nothing here reads a token.

use hmac::{Hmac, Mac};
use serde_json::{Value, json};

/// Which HMAC a token is signed with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Signature {
    Hs256,
    Hs512,
}

/// The token of `payload` under `secret`.
pub(crate) fn token(signature: Signature, payload: &Value, secret: &str) -> String {
    let name = match signature {
        Signature::Hs256 => "HS256",
        Signature::Hs512 => "HS512",
    };
    let header = json!({ "typ": "JWT", "alg": name }).to_string();
    let signed =
        format!("{}.{}", base64url(header.as_bytes()), base64url(payload.to_string().as_bytes()));
    let mac = match signature {
        Signature::Hs256 => mac::<Hmac<sha2::Sha256>>(secret, &signed),
        Signature::Hs512 => mac::<Hmac<sha2::Sha512>>(secret, &signed),
    };
    format!("{signed}.{}", base64url(&mac))
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
fn mac<M: Mac + hmac::digest::KeyInit>(secret: &str, text: &str) -> Vec<u8> {
    let mut mac = <M as Mac>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Base64 with the URL alphabet and without padding.
pub(crate) fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..=chunk.len() {
            out.push(char::from(ALPHABET[(bits >> (18 - 6 * index) & 63) as usize]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_follows_rfc_4648() {
        let cases = [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("??>", "Pz8-"),
        ];
        for (text, expected) in cases {
            assert_eq!(base64url(text.as_bytes()), expected);
        }
    }

    #[test]
    fn a_token_has_three_parts_and_the_length_of_its_signature() {
        for (signature, length) in [(Signature::Hs256, 43), (Signature::Hs512, 86)] {
            let token = token(signature, &json!({ "a": 1 }), "key");
            let parts: Vec<&str> = token.split('.').collect();
            assert_eq!((parts.len(), parts[1], parts[2].len()), (3, "eyJhIjoxfQ", length));
        }
    }
}
