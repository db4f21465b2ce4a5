//! The ID of a request: in the access log, in what its server is told, and in its answer. Taken from a trusted
//! proxy, which has logged it, else made here.

use http::{HeaderMap, HeaderName};
use ring::rand::{SecureRandom, SystemRandom};

/// Where it stands, in requests and answers.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longer than any ID that proxies make.
const ID_CHARS_MAX: usize = 128;

/// The ID of a request with these `headers`; `believed`: a trusted proxy sent it.
pub fn of(headers: &HeaderMap, believed: bool) -> String {
    let given = headers.get(&X_REQUEST_ID).filter(|_| believed);
    match given.and_then(|value| value.to_str().ok()).filter(|text| is_id(text)) {
        Some(text) => text.to_owned(),
        None => new(),
    }
}

fn is_id(text: &str) -> bool {
    let usual = |c: char| c.is_ascii_alphanumeric() || "-_.=:+/".contains(c);
    (1..=ID_CHARS_MAX).contains(&text.len()) && text.chars().all(usual)
}

fn new() -> String {
    let mut bytes = [0; 16];
    // An error means that the system has no randomness; an ID is no secret.
    let _ = SystemRandom::new().fill(&mut bytes);
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxy_names_requests() {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, "abc-1".parse().unwrap());
        assert_eq!(of(&headers, true), "abc-1");
        let made = of(&headers, false);
        assert_eq!(made.len(), 32);
        assert_ne!(made, of(&headers, false));
        for bad in ["", "a b", "a\"b", &"x".repeat(ID_CHARS_MAX + 1)] {
            headers.insert(X_REQUEST_ID, bad.parse().unwrap());
            assert_eq!(of(&headers, true).len(), 32, "{bad}");
        }
    }
}
