//! The pure core of tinyscale, and what the fuzz targets compare it with: BBB's rules written down a second
//! time, as naively as the wire description has them.

/// The sources of the core, compiled here once more. Depending on the whole crate would instrument an HTTP
/// proxy, a TLS stack and a database for minutes, of which no target uses anything.
#[path = "../../src"]
mod sources {
    pub mod bbb;
    pub mod callback;
    pub mod cluster;
    pub mod hook;
    pub mod recording;
    pub mod route;
    pub mod tenant;
}

pub use crate::sources::{bbb, callback, cluster, hook, recording, route, tenant};

use std::collections::BTreeMap;

use crate::bbb::call::{Call, CallName};
use crate::bbb::checksum::Algorithm;
use crate::bbb::secret::Secret;
use crate::bbb::url::ApiUrl;
use crate::cluster::placement::capacity::Capacity;
use crate::cluster::server::{ServerName, ServerSpec};
use crate::route::outgoing::{OutgoingBody, write};
use sha1::Digest;

/// The front end's secret.
pub const FRONT: &str = "front-end-secret";
const SERVER: &str = "server-secret";
const API: &str = "/bigbluebutton/api";

/// The digest that a checksum of `digits` hex digits was made with, in lower case.
pub fn digest(digits: usize, input: &str) -> Option<String> {
    let input = input.as_bytes();
    match digits {
        40 => Some(hex::encode(sha1::Sha1::digest(input))),
        64 => Some(hex::encode(sha2::Sha256::digest(input))),
        96 => Some(hex::encode(sha2::Sha384::digest(input))),
        128 => Some(hex::encode(sha2::Sha512::digest(input))),
        _ => None,
    }
}

/// `input` as a servlet decodes a name or value of a form.
pub fn decoded(input: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = input.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = match rest {
            [b'%', high, low, ..] => {
                char::from(*high).to_digit(16).zip(char::from(*low).to_digit(16))
            }
            _ => None,
        };
        if let Some((high, low)) = escape {
            bytes.push(u8::try_from(high * 16 + low).expect("two hex digits are a byte"));
            rest = &rest[3..];
        } else {
            bytes.push(if *first == b'+' { b' ' } else { *first });
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Decoded names and values in order; pieces of nothing are none.
pub fn pairs(params: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for piece in params.split('&') {
        if !piece.is_empty() {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            pairs.push((decoded(name).trim().to_owned(), decoded(value)));
        }
    }
    pairs
}

/// [`pairs`] without checksums.
pub fn plain_pairs(params: &str) -> Vec<(String, String)> {
    pairs(params).into_iter().filter(|(name, _)| name != "checksum").collect()
}

/// What BBB's three replacements leave of `query`.
pub fn stripped(query: &str, sum: &str) -> String {
    query
        .replace(&format!("&checksum={sum}"), "")
        .replace(&format!("checksum={sum}&"), "")
        .replace(&format!("checksum={sum}"), "")
}

/// BBB 2.x's rebuild of a form body.
pub fn rebuilt(form: &str) -> String {
    let mut by_name: BTreeMap<Vec<u16>, Vec<String>> = BTreeMap::new();
    for (name, value) in plain_pairs(form) {
        let mut encoded = String::new();
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => {
                    encoded.push(char::from(byte));
                }
                b' ' => encoded.push('+'),
                other => encoded.push_str(&format!("%{other:02X}")),
            }
        }
        by_name.entry(name.encode_utf16().collect()).or_default().push(format!("{name}={encoded}"));
    }
    by_name.into_values().flatten().collect::<Vec<_>>().join("&")
}

/// What a checksum that is right covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covers {
    /// The query only; anybody may have chosen the form.
    Query,
    /// The form, as BBB 2.x hashes it.
    Form,
}

/// Whether a call with this raw query and form body is to be let in, and on what grounds.
pub fn allowed(call: &str, query: &str, form: Option<&str>, secret: &str) -> Option<Covers> {
    let (in_query, in_form) = (pairs(query), pairs(form.unwrap_or_default()));
    let sums: Vec<&String> = in_query
        .iter()
        .chain(&in_form)
        .filter_map(|(name, value)| (name == "checksum").then_some(value))
        .collect();
    let [sum] = sums[..] else { return None };
    let sum: String = sum.chars().filter(|c| !c.is_control()).collect();
    let sum = sum.trim();
    if in_query.iter().any(|(name, _)| in_form.iter().any(|(other, _)| other == name)) {
        return None;
    }
    let is_right = |input: &str| {
        digest(sum.len(), &format!("{call}{input}{secret}"))
            .is_some_and(|expected| sum.eq_ignore_ascii_case(&expected))
    };
    let left = stripped(query, sum);
    if is_right(&left) || is_right(&left.replace("%27", "'")) {
        return Some(Covers::Query);
    }
    let form = form.filter(|_| query.is_empty())?;
    is_right(&rebuilt(form)).then_some(Covers::Form)
}

/// Writes `call` for a server and checks it with that server's eyes: the checksum is right, and the
/// parameters say what the client's said.
pub fn check_outgoing(call: &Call, algorithm: Algorithm) {
    let server = ServerSpec {
        name: ServerName::new("bbb1").expect("a good name"),
        url: ApiUrl::parse("https://bbb1.test").expect("a good URL"),
        secret: Secret::new(SERVER).expect("not empty"),
        algorithm,
        weight: 1.0,
        capacity: Capacity::default(),
        tags: Vec::new(),
    };
    let said = [plain_pairs(call.query()), plain_pairs(call.form())].concat();
    let name = call.name().as_str();
    for has_body in [false, true] {
        let outgoing = write(call, &server, has_body);
        let rest = outgoing.target.strip_prefix(&format!("{API}/{name}?"));
        let query = rest.expect("path and query of the call");
        assert!(query.bytes().all(|b| b.is_ascii_graphic() && b != b'#'), "{query:?}");
        let form = match &outgoing.body {
            OutgoingBody::Form(form) => Some(form.as_str()),
            OutgoingBody::None | OutgoingBody::Received => None,
        };
        assert!(allowed(name, query, form, SERVER).is_some(), "{query:?} {form:?}");
        let sent = [plain_pairs(query), plain_pairs(form.unwrap_or_default())].concat();
        assert_eq!(sent, said, "{query:?} {form:?}");
    }
}

/// The calls that are tried, by their number.
pub fn call_name(number: u8) -> CallName {
    let names = [
        "create",
        "join",
        "end",
        "getRecordings",
        "getMeetings",
        "insertDocument",
        "someFutureCall",
    ];
    let name = names[usize::from(number) % names.len()];
    CallName::of_path(&format!("{API}/{name}")).expect("the path of a call")
}

/// The algorithms by their number.
pub fn algorithm(number: u8) -> Algorithm {
    Algorithm::ALL[usize::from(number) % Algorithm::ALL.len()]
}

/// How many hex digits a checksum of the algorithm has.
pub fn digits(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::Sha1 => 40,
        Algorithm::Sha256 => 64,
        Algorithm::Sha384 => 96,
        Algorithm::Sha512 => 128,
    }
}

/// HMAC (RFC 2104) of a web token's algorithm by the book, with nothing but the hash.
pub fn hmac(hs512: bool, key: &[u8], text: &[u8]) -> Vec<u8> {
    let hash = |parts: [&[u8]; 2]| -> Vec<u8> {
        let text = parts.concat();
        if hs512 {
            sha2::Sha512::digest(text).to_vec()
        } else {
            sha2::Sha256::digest(text).to_vec()
        }
    };
    let block = if hs512 { 128 } else { 64 };
    let mut key = if key.len() > block { hash([key, b""]) } else { key.to_vec() };
    key.resize(block, 0);
    let padded = |with: u8| key.iter().map(|byte| byte ^ with).collect::<Vec<u8>>();
    hash([&padded(0x5c), &hash([&padded(0x36), text])])
}
