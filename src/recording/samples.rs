//! What the tests of this module feed it: verified calls and servers' answers.

use crate::bbb::call::{Call, CallName, SignedCall};
use crate::bbb::checksum::{self, Algorithm};
use crate::bbb::secret::Secret;

/// A verified call, its parameters in the query.
pub(crate) fn call(name: &str, query: &str) -> Call {
    call_with_form(name, query, None)
}

/// A verified call with a form body.
pub(crate) fn call_with_form(name: &str, query: &str, form: Option<&str>) -> Call {
    let secret = Secret::new("s3cret").unwrap();
    let call = CallName::of_path(&format!("/bigbluebutton/api/{name}")).unwrap();
    let query = checksum::sign(name, query, Algorithm::Sha256, &secret);
    SignedCall { name: &call, query: &query, form }.verify(&[secret]).unwrap()
}

/// The full ID of the `n`th recording of the meeting whose hash is `hex` repeated.
pub(crate) fn full(hex: char, n: u32) -> String {
    format!("{}-{:013}", hex.to_string().repeat(40), 1_700_000_000_000 + u64::from(n))
}

/// A `<recording>` in `state` with or without a playback format.
pub(crate) fn recording(id: &str, state: &str, start_time: u64, playback: bool) -> String {
    let format = if playback { "<format><type>presentation</type></format>" } else { "" };
    format!(
        "<recording><recordID>{id}</recordID><state>{state}</state><startTime>{start_time}</startTime>\
         <playback>{format}</playback></recording>"
    )
}

/// A published recording that can be played.
pub(crate) fn playable(id: &str, start_time: u64) -> String {
    recording(id, "published", start_time, true)
}

/// A server's answer with these `<recording>` elements.
pub(crate) fn listing(recordings: &[String]) -> String {
    format!(
        "<response>\n<returncode>SUCCESS</returncode>\n<recordings>\n{}\n</recordings></response>",
        recordings.join("\n")
    )
}

/// A server's answer that it has none.
pub(crate) const NONE: &str = "<response><returncode>SUCCESS</returncode><recordings></recordings><messageKey>noRecordings</messageKey><message>There are no recordings for the meeting(s).</message></response>";
