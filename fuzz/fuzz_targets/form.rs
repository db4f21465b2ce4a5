//! A form POST is let in exactly if BBB 3.0 or, with an empty query, BBB 2.x would let it in, and what goes on
//! to a server says the same.
//!
//! Input: call, algorithm and what is hashed, the query, the form. In both `@` becomes the right checksum.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tinyscale_fuzz::bbb::call::SignedCall;
use tinyscale_fuzz::bbb::secret::Secret;
use tinyscale_fuzz::{
    Covers, FRONT, algorithm, allowed, call_name, check_outgoing, digest, digits, pairs, rebuilt,
    stripped,
};

fuzz_target!(|input: (u8, u8, &str)| {
    let (call, with, text) = input;
    let (query, form) = text.split_once('\n').unwrap_or(("", text));
    let (name, algorithm) = (call_name(call), algorithm(with));
    let stand_in = "Z".repeat(digits(algorithm));
    let covered = if with & 0x80 == 0 {
        stripped(&query.replace('@', &stand_in), &stand_in)
    } else {
        rebuilt(&form.replace('@', &stand_in))
    };
    let sum = digest(digits(algorithm), &format!("{}{covered}{FRONT}", name.as_str()));
    let sum = sum.expect("a known length");
    let (query, form) = (query.replace('@', &sum), form.replace('@', &sum));

    let secrets = [Secret::new(FRONT).expect("not empty")];
    let call = SignedCall { name: &name, query: &query, form: Some(&form) }.verify(&secrets);
    let expected = allowed(name.as_str(), &query, Some(&form), FRONT);
    assert_eq!(call.is_ok(), expected.is_some(), "{query:?} {form:?}");
    if let Ok(call) = call {
        let is_signed = expected == Some(Covers::Form) || call.form().is_empty();
        assert_eq!(call.form_is_signed(), is_signed, "{query:?} {form:?}");
        assert!(pairs(call.form()).iter().all(|(name, _)| name != "checksum"));
        if pairs(call.query()).iter().all(|(name, _)| name != "checksum") {
            check_outgoing(&call, algorithm);
        }
    }
});
