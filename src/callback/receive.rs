//! What a server sent to a callback URL: believed, or refused. A web token must be signed with the secret of
//! a server that is configured now; one that has left tells nothing any more. The URL itself is no proof: it
//! stands in metadata that people in the meeting can read.

use bytes::Bytes;

use crate::bbb::query;
use crate::bbb::secret::Secret;
use crate::callback::Kind;
use crate::callback::envelope::{Envelope, Id, Signature};
use crate::callback::jwt::{Algorithm, Claims, Unverified};
use crate::callback::seal::Destination;
use crate::callback::target;

/// The parameter of a form that holds a web token.
pub(crate) const SIGNED: &str = "signed_parameters";
/// Of a header that goes on to the front end.
const HEADER_BYTES_MAX: usize = 256;

/// A request to a callback URL.
#[derive(Clone)]
pub struct Arrived<'r> {
    /// Whether it is a POST; otherwise a GET.
    pub is_post: bool,
    /// The raw query.
    pub query: &'r str,
    /// The header of that name, or empty.
    pub content_type: &'r str,
    /// The header of that name, or empty.
    pub user_agent: &'r str,
    /// The header of that name, or empty.
    pub authorization: &'r str,
    /// All of the body.
    pub body: Bytes,
}

/// Why a callback is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No signature, a wrong one, or one of nobody who is configured.
    Unsigned,
    /// Not what this callback looks like.
    Malformed,
    /// Not by this method.
    Method,
}

/// A server by name and secret.
pub type Signer<'s> = (&'s str, &'s Secret);

/// Judges `arrived`, sent to the URL of `to`.
pub fn receive<'s>(
    to: &Destination,
    arrived: Arrived<'_>,
    servers: impl Iterator<Item = Signer<'s>> + Clone,
    now_s: u64,
) -> Result<Envelope, Refusal> {
    if arrived.is_post != to.kind.is_post() && to.kind != Kind::Other {
        return Err(Refusal::Method);
    }
    let believed = match to.kind {
        Kind::EndCallback | Kind::MeetingEnded => Believed::default(),
        Kind::RecordingReady => recording_ready(&arrived, servers, now_s)?,
        Kind::Analytics => {
            let found = bearer(&arrived, Algorithm::Hs512, servers, now_s)?;
            Believed { signature: Signature::BearerForADay, ..found }
        }
        Kind::Other => other(&arrived, &servers, now_s)?,
        // Events have a signature of their own.
        Kind::Hook => return Err(Refusal::Malformed),
    };
    let query = appended(to.kind, arrived.query);
    let url = to.url.as_bytes();
    let sameness = Id::of(&[
        &[to.kind as u8],
        url,
        to.about.as_bytes(),
        query.as_bytes(),
        believed.says.as_bytes(),
        &arrived.body,
    ]);
    Ok(Envelope {
        kind: to.kind,
        url: to.url.clone(),
        query,
        content_type: header(arrived.content_type),
        user_agent: header(arrived.user_agent),
        signature: believed.signature,
        servers: believed.servers,
        record_id: believed.record_id,
        received_s: now_s,
        lane: target::authority(&to.url),
        sameness: sameness.to_string(),
        instance: None,
        body: arrived.body,
    })
}

/// What a signature proved.
struct Believed {
    signature: Signature,
    servers: Vec<String>,
    record_id: Option<String>,
    says: String,
}

impl Default for Believed {
    fn default() -> Self {
        let (servers, record_id, says) = (Vec::new(), None, String::new());
        Self { signature: Signature::None, servers, record_id, says }
    }
}

fn recording_ready<'s>(
    arrived: &Arrived<'_>,
    servers: impl Iterator<Item = Signer<'s>>,
    now_s: u64,
) -> Result<Believed, Refusal> {
    let token = form_token(&arrived.body).ok_or(Refusal::Unsigned)?;
    let (claims, servers) = verify(&token, Algorithm::Hs256, servers, now_s)?;
    let record_id = claims.text("record_id").filter(|id| !id.is_empty());
    let record_id = record_id.ok_or(Refusal::Malformed)?.to_owned();
    Ok(Believed {
        says: claims.payload.clone(),
        signature: Signature::Form { payload: claims.payload, hs512: false },
        servers,
        record_id: Some(record_id),
    })
}

fn bearer<'s>(
    arrived: &Arrived<'_>,
    algorithm: Algorithm,
    servers: impl Iterator<Item = Signer<'s>>,
    now_s: u64,
) -> Result<Believed, Refusal> {
    let token = arrived.authorization.strip_prefix("Bearer ").ok_or(Refusal::Unsigned)?;
    let (claims, servers) = verify(token.trim(), algorithm, servers, now_s)?;
    let hs512 = algorithm == Algorithm::Hs512;
    let signature = Signature::Bearer { payload: claims.payload, hs512 };
    Ok(Believed { signature, servers, ..Believed::default() })
}

/// Signed in either way, or not at all: then it goes on as it came, and tinyscale signs nothing.
fn other<'s>(
    arrived: &Arrived<'_>,
    servers: &(impl Iterator<Item = Signer<'s>> + Clone),
    now_s: u64,
) -> Result<Believed, Refusal> {
    let either = [Algorithm::Hs256, Algorithm::Hs512];
    if let Some(token) = form_token(&arrived.body) {
        let verified = either.into_iter().find_map(|algorithm| {
            let (claims, names) = verify(&token, algorithm, servers.clone(), now_s).ok()?;
            let hs512 = algorithm == Algorithm::Hs512;
            let signature = Signature::Form { payload: claims.payload, hs512 };
            Some(Believed { signature, servers: names, ..Believed::default() })
        });
        return verified.ok_or(Refusal::Unsigned);
    }
    if arrived.authorization.is_empty() {
        return Ok(Believed::default());
    }
    let mut tried = either.into_iter().map(|with| bearer(arrived, with, servers.clone(), now_s));
    tried.find_map(Result::ok).ok_or(Refusal::Unsigned)
}

/// The claims of `token` and the names of all servers whose secret it is signed with: some share one.
fn verify<'s>(
    token: &str,
    algorithm: Algorithm,
    servers: impl Iterator<Item = Signer<'s>>,
    now_s: u64,
) -> Result<(Claims, Vec<String>), Refusal> {
    let token = Unverified::read(token, algorithm).ok_or(Refusal::Unsigned)?;
    let signed = servers.filter(|(_, secret)| token.is_signed_by(secret));
    let names: Vec<String> = signed.map(|(name, _)| name.to_owned()).collect();
    if names.is_empty() {
        return Err(Refusal::Unsigned);
    }
    Ok((token.claims(now_s).ok_or(Refusal::Unsigned)?, names))
}

fn form_token(body: &[u8]) -> Option<String> {
    let form = std::str::from_utf8(body).ok()?;
    query::first(form, SIGNED).map(|token| token.into_owned())
}

/// What of the query belongs to the callback rather than to whoever knows the URL.
fn appended(kind: Kind, query: &str) -> String {
    match kind {
        Kind::EndCallback => query::without(query, |param| {
            !["recordingmarks", "meetingID"].contains(&&*param.name())
        }),
        Kind::MeetingEnded => query::without(query, |param| param.name() != "recordingmarks"),
        Kind::Other => query.to_owned(),
        Kind::RecordingReady | Kind::Analytics | Kind::Hook => String::new(),
    }
}

fn header(value: &str) -> String {
    let fits = value.len() <= HEADER_BYTES_MAX && value.bytes().all(|b| (b' '..=b'~').contains(&b));
    if fits { value.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callback::jwt;

    fn to(kind: Kind) -> Destination {
        let about = "room".to_owned();
        Destination { kind, url: "https://Front.test/x?action=a".to_owned(), about }
    }

    fn got(query: &'static str) -> Arrived<'static> {
        Arrived {
            is_post: false,
            query,
            content_type: "",
            user_agent: "",
            authorization: "",
            body: Bytes::new(),
        }
    }

    fn posted(body: &str, authorization: &'static str) -> Arrived<'static> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        Arrived { is_post: true, authorization, body, ..got("") }
    }

    fn judged(kind: Kind, arrived: Arrived<'_>) -> Result<Envelope, Refusal> {
        let secrets = ["one", "two", "two"].map(|text| Secret::new(text).unwrap());
        let servers = ["bbb1", "bbb2", "bbb3"].into_iter().zip(&secrets);
        receive(&to(kind), arrived, servers, 1000)
    }

    fn token(claims: &str, algorithm: Algorithm, secret: &str) -> String {
        jwt::sign(&jwt::payload(claims), algorithm, &Secret::new(secret).unwrap())
    }

    const READY: &str = r#"{"meeting_id":"room","record_id":"r-1"}"#;

    #[test]
    fn a_recording_is_ready_if_a_server_says_so() {
        let form = format!("signed_parameters={}", token(READY, Algorithm::Hs256, "two"));
        let envelope = judged(Kind::RecordingReady, posted(&form, "")).ok().unwrap();
        assert_eq!(envelope.servers, ["bbb2", "bbb3"]);
        assert_eq!(envelope.record_id.as_deref(), Some("r-1"));
        assert_eq!(envelope.lane, "front.test");
        let payload = jwt::payload(READY);
        assert_eq!(envelope.signature, Signature::Form { payload, hs512: false });
    }

    #[test]
    fn a_recording_is_not_ready_if_nobody_says_so() {
        // bbblb-b3lb.md K5
        for form in [
            String::new(),
            "signed_parameters=".to_owned(),
            "signed_parameters=a.b.c".to_owned(),
            format!("signed_parameters={}", token(READY, Algorithm::Hs256, "front")),
            format!("signed_parameters={}", token(READY, Algorithm::Hs512, "one")),
            format!("signed_parameters={}x", token(READY, Algorithm::Hs256, "one")),
        ] {
            let refused = judged(Kind::RecordingReady, posted(&form, "")).err();
            assert_eq!(refused, Some(Refusal::Unsigned), "{form}");
        }
        let form = format!("signed_parameters={}", token("{}", Algorithm::Hs256, "one"));
        let refused = judged(Kind::RecordingReady, posted(&form, "")).err();
        assert_eq!(refused, Some(Refusal::Malformed));
        assert_eq!(judged(Kind::RecordingReady, got("")).err(), Some(Refusal::Method));
    }

    #[test]
    fn analytics_need_a_token_that_has_not_run_out() {
        let judge = |claims: &str, algorithm, secret: &str| {
            let header = format!("Bearer {}", token(claims, algorithm, secret)).leak();
            judged(Kind::Analytics, posted("{}", header)).map(|envelope| envelope.servers)
        };
        let good = r#"{"exp":1000}"#;
        assert_eq!(judge(good, Algorithm::Hs512, "one"), Ok(vec!["bbb1".to_owned()]));
        for (claims, algorithm, secret) in [
            (r#"{"exp":1}"#, Algorithm::Hs512, "one"),
            (good, Algorithm::Hs256, "one"),
            (good, Algorithm::Hs512, "front"),
        ] {
            assert_eq!(judge(claims, algorithm, secret), Err(Refusal::Unsigned));
        }
        assert_eq!(judged(Kind::Analytics, posted("{}", "")).err(), Some(Refusal::Unsigned));
    }

    #[test]
    fn the_end_of_a_meeting_carries_only_what_servers_append() {
        let query = "recordingmarks=true&x=1&meetingID=r%20m&action=delete";
        let envelope = judged(Kind::EndCallback, got(query)).ok().unwrap();
        assert_eq!(envelope.query, "recordingmarks=true&meetingID=r%20m");
        let envelope = judged(Kind::MeetingEnded, got(query)).ok().unwrap();
        assert_eq!(envelope.query, "recordingmarks=true");
        assert_eq!(judged(Kind::EndCallback, posted("", "")).err(), Some(Refusal::Method));
    }

    #[test]
    fn other_callbacks_are_signed_again_only_if_they_were_signed() {
        let unsigned = judged(Kind::Other, posted("a=1", "")).ok().unwrap();
        assert_eq!(unsigned.signature, Signature::None);
        let form = format!("signed_parameters={}", token("{}", Algorithm::Hs512, "one"));
        let payload = jwt::payload("{}");
        let signed = judged(Kind::Other, posted(&form, "")).ok().unwrap();
        assert_eq!(signed.signature, Signature::Form { payload, hs512: true });
        let forged = format!("signed_parameters={}", token("{}", Algorithm::Hs256, "x"));
        assert_eq!(judged(Kind::Other, posted(&forged, "")).err(), Some(Refusal::Unsigned));
        assert_eq!(judged(Kind::Other, posted("", "Bearer x")).err(), Some(Refusal::Unsigned));
    }

    #[test]
    fn the_same_callback_is_known_again() {
        let same = |a: Arrived<'_>, b: Arrived<'_>| {
            let of = |arrived| judged(Kind::EndCallback, arrived).ok().unwrap().sameness;
            of(a) == of(b)
        };
        assert!(same(got("recordingmarks=true"), got("recordingmarks=true&x=2")));
        assert!(!same(got("recordingmarks=true"), got("recordingmarks=false")));
    }
}
