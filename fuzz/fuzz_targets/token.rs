//! Callbacks: a URL that tinyscale did not make opens nothing, what a server did not sign is not believed, and
//! what is believed leaves signed for the front end with its claims as they came.
//!
//! Input: kind, mode, a line of claims, then what arrives, in which `@` becomes a web token of these claims signed
//! by a server. For sealing the first line is the URL and the rest what it is about.
#![no_main]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use tinyscale_fuzz::bbb::id::TenantId;
use tinyscale_fuzz::bbb::secret::Secret;
use tinyscale_fuzz::callback::Kind;
use tinyscale_fuzz::callback::envelope::Envelope;
use tinyscale_fuzz::callback::receive::{Arrived, receive};
use tinyscale_fuzz::callback::seal::{Destination, Keyring};
use tinyscale_fuzz::callback::send::{restore, write};
use tinyscale_fuzz::callback::{target, token_of};
use tinyscale_fuzz::{FRONT, decoded, hmac};

const SERVERS: [(&str, &str); 2] = [("bbb1", "server-one"), ("bbb2", "server-two")];
const NOW_S: u64 = 1_700_000_000;

fuzz_target!(|input: (u8, u8, &str)| {
    let (kind, mode, text) = input;
    let kind = Kind::ALL[usize::from(kind) % Kind::ALL.len()];
    check_sealing(kind, mode, text);
    check_believing(kind, mode, text);
    let _ = (target::is_callable(text), target::authority(text), token_of(text));
    if let Some(envelope) = Envelope::from_bytes(text.as_bytes()) {
        let again = envelope.to_bytes().and_then(|bytes| Envelope::from_bytes(&bytes));
        assert!(again == Some(envelope));
    }
});

fn keyring(secrets: &[&str]) -> Keyring {
    let secret = |text: &&str| (TenantId(0), Secret::new(text).expect("not empty"));
    Keyring::new(secrets.iter().map(secret))
}

fn check_sealing(kind: Kind, at: u8, text: &str) {
    let ring = keyring(&["another", FRONT]);
    let sealer = ring.of(&Secret::new(FRONT).expect("not empty")).expect("it is there");
    // What opens was made here: nothing else gives the same text again.
    if let Some((opened, to)) = ring.open_token(text) {
        assert_eq!(opened.token(&to).as_deref(), Some(text));
    }
    let (url, about) = text.split_once('\n').unwrap_or((text, ""));
    let to = Destination { kind, url: url.to_owned(), about: about.to_owned() };
    let Some(token) = sealer.token(&to) else { return };
    let (_, opened) = ring.open_token(&token).expect("it was just made");
    assert!(opened == to);
    assert!(keyring(&["another"]).open_token(&token).is_none());
    let mut broken = token.clone().into_bytes();
    let at = usize::from(at) % broken.len();
    broken[at] = if broken[at] == b'A' { b'B' } else { b'A' };
    let broken = String::from_utf8(broken).expect("ASCII");
    assert!(ring.open_token(&broken).is_none(), "{token} {broken}");
    // A body without tokens of ours goes on as it is.
    let body = bytes::Bytes::copy_from_slice(text.as_bytes());
    let front = Secret::new(FRONT).expect("not empty");
    assert_eq!(restore(&body, &ring, &front, "https://lb.test"), body);
}

/// A token over `payload`.
fn signed(payload: &str, hs512: bool, secret: &str) -> String {
    let alg = if hs512 { "HS512" } else { "HS256" };
    let header = URL_SAFE_NO_PAD.encode(format!("{{\"alg\":\"{alg}\"}}"));
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
    let sum = hmac(hs512, secret.as_bytes(), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(sum))
}

/// Whether `token` is one of `secret`; its payload.
fn verified(token: &str, hs512: bool, secret: &str) -> Option<String> {
    let (signed, sum) = token.rsplit_once('.')?;
    let (_, payload) = signed.split_once('.')?;
    let sum = URL_SAFE_NO_PAD.decode(sum).ok()?;
    (sum == hmac(hs512, secret.as_bytes(), signed.as_bytes())).then(|| payload.to_owned())
}

fn check_believing(kind: Kind, mode: u8, text: &str) {
    let hs512 = mode & 1 == 1;
    let (claims, template) = text.split_once('\n').unwrap_or((text, ""));
    let token = signed(claims, hs512, SERVERS[usize::from(mode >> 1) % 2].1);
    let text = template.replace('@', &token);
    let (body, authorization) =
        if mode & 0x40 == 0 { (text.as_str(), "") } else { ("{}", text.as_str()) };
    let secrets = SERVERS.map(|(name, text)| (name, Secret::new(text).expect("not empty")));
    let to = Destination {
        kind,
        url: "https://front.test/x?y=%2f".to_owned(),
        about: "room".to_owned(),
    };
    let arrived = Arrived {
        is_post: mode & 0x80 == 0,
        query: "recordingmarks=true&x=1",
        content_type: "text/plain",
        user_agent: "",
        authorization,
        body: bytes::Bytes::copy_from_slice(body.as_bytes()),
    };
    let signers = secrets.iter().map(|(name, secret)| (*name, secret));
    let Ok(envelope) = receive(&to, arrived, signers, NOW_S) else { return };
    let tokens: Vec<String> = if authorization.is_empty() {
        let first = body
            .split('&')
            .filter(|piece| !piece.is_empty())
            .map(|piece| piece.split_once('=').unwrap_or((piece, "")));
        first
            .filter(|(name, _)| decoded(name).trim() == "signed_parameters")
            .map(|(_, value)| decoded(value))
            .take(1)
            .collect()
    } else {
        authorization
            .strip_prefix("Bearer ")
            .map(|token| token.trim().to_owned())
            .into_iter()
            .collect()
    };
    let both = [false, true];
    let proof = tokens.iter().find_map(|token| {
        both.into_iter()
            .find_map(|hs512| SERVERS.iter().find_map(|(_, secret)| verified(token, hs512, secret)))
    });
    match kind {
        Kind::RecordingReady | Kind::Analytics => {
            assert!(proof.is_some(), "{body:?} {authorization:?}")
        }
        Kind::Other => assert!(proof.is_some() || tokens.is_empty() && authorization.is_empty()),
        Kind::EndCallback | Kind::MeetingEnded => {}
        Kind::Hook => panic!("events are believed elsewhere"),
    }
    check_sending(kind, &envelope, proof.as_deref());
}

fn check_sending(kind: Kind, envelope: &Envelope, proof: Option<&str>) {
    let outgoing = write(envelope, &Secret::new(FRONT).expect("not empty"), NOW_S);
    assert!(outgoing.url.starts_with("https://front.test/x?y=%2f"));
    let bearer = outgoing.authorization.as_deref().and_then(|value| value.strip_prefix("Bearer "));
    if kind == Kind::Analytics {
        assert!(verified(bearer.expect("a token"), true, FRONT).is_some());
    }
    if kind == Kind::RecordingReady {
        let body = outgoing.body.expect("a POST");
        let form = std::str::from_utf8(&body).expect("a form");
        let value = form.split('&').find_map(|piece| {
            let (name, value) = piece.split_once('=')?;
            (decoded(name).trim() == "signed_parameters").then(|| decoded(value))
        });
        assert_eq!(verified(&value.expect("a token"), false, FRONT).as_deref(), proof);
    }
}
