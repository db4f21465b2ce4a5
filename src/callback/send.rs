//! A believed callback as the front end gets it: what a server would send, signed with the front end's secret.

use bytes::Bytes;

use crate::bbb::query;
use crate::bbb::secret::Secret;
use crate::callback::PATH;
use crate::callback::envelope::{Envelope, Signature, algorithm};
use crate::callback::jwt::{self, Algorithm};
use crate::callback::receive::SIGNED;
use crate::callback::seal::Keyring;

/// How long a bearer token holds (`bbb-api.md` 6.3).
const BEARER_S: u64 = 24 * 60 * 60;

/// A request to a front end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The front end's URL and what servers append to it.
    pub url: String,
    /// The Authorization header, if there is one.
    pub authorization: Option<String>,
    /// The body of a POST; `None` for a GET.
    pub body: Option<Bytes>,
}

/// Writes `envelope`, signed with `secret`. Not for [`crate::callback::Kind::Hook`].
pub fn write(envelope: &Envelope, secret: &Secret, now_s: u64) -> Outgoing {
    let url = with_query(&envelope.url, &envelope.query);
    let authorization = match &envelope.signature {
        Signature::None | Signature::Form { .. } => None,
        Signature::Bearer { payload, hs512 } => Some(jwt::sign(payload, algorithm(*hs512), secret)),
        Signature::BearerForADay => {
            let payload = jwt::payload(&format!(r#"{{"exp":{}}}"#, now_s + BEARER_S));
            Some(jwt::sign(&payload, Algorithm::Hs512, secret))
        }
    };
    let body = match &envelope.signature {
        Signature::Form { payload, hs512 } => {
            let token = jwt::sign(payload, algorithm(*hs512), secret);
            let form = String::from_utf8_lossy(&envelope.body);
            query::replace(&form, |param| (param.name() == SIGNED).then(|| token.clone())).into()
        }
        Signature::None | Signature::Bearer { .. } | Signature::BearerForADay => {
            envelope.body.clone()
        }
    };
    let is_post = envelope.kind.is_post() && !(envelope.body.is_empty() && body.is_empty());
    Outgoing {
        url,
        authorization: authorization.map(|token| format!("Bearer {token}")),
        body: is_post.then_some(body),
    }
}

/// `url` with `query` behind whatever query it has; a fragment never travels.
fn with_query(url: &str, query: &str) -> String {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    match (query, url.contains('?')) {
        ("", _) => url.to_owned(),
        (query, true) => format!("{url}&{query}"),
        (query, false) => format!("{url}?{query}"),
    }
}

/// `body` with the front end's own URLs where a server wrote tinyscale's: analytics repeat the metadata of
/// the meeting. Only URLs of the same front end are opened; every other byte stays.
pub fn restore(body: &Bytes, keyring: &Keyring, secret: &Secret, public_url: &str) -> Bytes {
    let Ok(text) = std::str::from_utf8(body) else { return body.clone() };
    let base = format!("\"{public_url}{PATH}");
    let escaped = base.replace('/', "\\/");
    let mut restored = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, base)) = [&base, &escaped]
        .into_iter()
        .filter_map(|base| Some((rest.find(base.as_str())?, base)))
        .min_by_key(|(at, _)| *at)
    {
        let (before, found) = rest.split_at(at);
        restored.push_str(before);
        let token = found[base.len()..].split('"').next().unwrap_or_default();
        let own = keyring.open_token(token).filter(|(sealer, _)| sealer.secret.is_same(secret));
        let json = own.and_then(|(_, to)| serde_json::to_string(&to.url).ok());
        match json {
            Some(json) => {
                restored.push_str(json.trim_end_matches('"'));
                rest = &found[base.len() + token.len()..];
            }
            None => {
                restored.push_str(base);
                rest = &found[base.len()..];
            }
        }
    }
    restored.push_str(rest);
    restored.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bbb::id::TenantId;
    use crate::callback::Kind;
    use crate::callback::jwt::Unverified;
    use crate::callback::seal::Destination;

    fn envelope(kind: Kind, query: &str, signature: Signature, body: &str) -> Envelope {
        Envelope {
            kind,
            url: "https://f.test/x.php?action=a%24#top".to_owned(),
            query: query.to_owned(),
            content_type: String::new(),
            user_agent: String::new(),
            signature,
            servers: Vec::new(),
            record_id: None,
            received_s: 0,
            lane: String::new(),
            sameness: String::new(),
            instance: None,
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text).unwrap()
    }

    #[test]
    fn an_end_is_a_get_of_the_front_ends_url() {
        let envelope =
            envelope(Kind::EndCallback, "recordingmarks=true&meetingID=a%20b", Signature::None, "");
        let out = write(&envelope, &secret("front"), 0);
        assert_eq!(out.url, "https://f.test/x.php?action=a%24&recordingmarks=true&meetingID=a%20b");
        assert_eq!((out.authorization, out.body), (None, None));
    }

    #[test]
    fn a_recording_is_signed_anew_with_its_claims_untouched() {
        let payload = jwt::payload(r#"{"record_id": "r", "meeting_id":"m"}"#);
        let signature = Signature::Form { payload: payload.clone(), hs512: false };
        let body = "x=%2f&signed_parameters=old.old.old";
        let out = write(&envelope(Kind::RecordingReady, "", signature, body), &secret("front"), 0);
        assert_eq!(out.url, "https://f.test/x.php?action=a%24");
        let sent = out.body.unwrap();
        let token =
            std::str::from_utf8(&sent).unwrap().strip_prefix("x=%2f&signed_parameters=").unwrap();
        assert_eq!(token.split('.').nth(1), Some(payload.as_str()));
        let read = Unverified::read(token, Algorithm::Hs256).unwrap();
        assert!(read.is_signed_by(&secret("front")));
    }

    #[test]
    fn analytics_get_a_token_for_a_day() {
        let envelope = envelope(Kind::Analytics, "", Signature::BearerForADay, "{}");
        let header = write(&envelope, &secret("front"), 1000).authorization.unwrap();
        let read =
            Unverified::read(header.strip_prefix("Bearer ").unwrap(), Algorithm::Hs512).unwrap();
        assert!(read.is_signed_by(&secret("front")));
        assert!(read.claims(87_460).is_some() && read.claims(87_461).is_none());
    }

    #[test]
    fn bodies_get_the_front_ends_own_urls_back() {
        let ring = Keyring::new(["front", "other"].map(|text| (TenantId::DEFAULT, secret(text))));
        let token = |of: &str| {
            let to = Destination {
                kind: Kind::Analytics,
                url: "https://m.test/?a=\"1\"&b".to_owned(),
                about: String::new(),
            };
            ring.of(&secret(of)).unwrap().token(&to).unwrap()
        };
        let (own, foreign) = (token("front"), token("other"));
        let body = format!(
            r#"{{"u":"https://bbb.test/callback/{own}","e":"https:\/\/bbb.test\/callback\/{own}","f":"https://bbb.test/callback/{foreign}","n":"https://bbb.test/callback/x","é":1}}"#
        );
        let restored = restore(&body.into(), &ring, &secret("front"), "https://bbb.test");
        let url = r#""https://m.test/?a=\"1\"&b""#;
        let expected = format!(
            r#"{{"u":{url},"e":{url},"f":"https://bbb.test/callback/{foreign}","n":"https://bbb.test/callback/x","é":1}}"#
        );
        assert_eq!(std::str::from_utf8(&restored).unwrap(), expected);
    }
}
