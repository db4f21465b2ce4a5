//! A call is let in exactly if BBB would let it in, and what goes on to a server convinces that server.
//!
//! Input: call, algorithm, then the query, in which `@` becomes the right checksum.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tinyscale_fuzz::bbb::call::{Call, SignedCall};
use tinyscale_fuzz::bbb::checksum::strip;
use tinyscale_fuzz::bbb::secret::Secret;
use tinyscale_fuzz::{
    FRONT, algorithm, allowed, call_name, check_outgoing, digest, digits, pairs, stripped,
};

fuzz_target!(|input: (u8, u8, &str)| {
    let (call, with, template) = input;
    let (name, algorithm) = (call_name(call), algorithm(with));
    // The checksum covers what is left without it, so a stand-in of its length serves to find that out.
    let stand_in = "Z".repeat(digits(algorithm));
    let covered = stripped(&template.replace('@', &stand_in), &stand_in);
    let sum = digest(digits(algorithm), &format!("{}{covered}{FRONT}", name.as_str()));
    let query = template.replace('@', &sum.expect("a known length"));

    for (_, value) in pairs(&query).into_iter().filter(|(name, _)| name == "checksum") {
        assert_eq!(strip(&query, &value), stripped(&query, &value));
    }
    let secrets =
        [Secret::new("another").expect("not empty"), Secret::new(FRONT).expect("not empty")];
    let call = SignedCall { name: &name, query: &query, form: None }.verify(&secrets);
    assert_eq!(call.is_ok(), allowed(name.as_str(), &query, None, FRONT).is_some(), "{query:?}");
    if let Ok(call) = call {
        // Cutting the checksum out can leave another one, which every server would refuse.
        if pairs(call.query()).iter().all(|(name, _)| name != "checksum") {
            check_outgoing(&call, algorithm);
            check_replacing(&call);
        }
    }
});

/// A parameter that is set leaves the others as they are.
fn check_replacing(call: &Call) {
    let changed = call.clone().with_param("createTime", "1700000000000");
    let expected: Vec<_> = pairs(call.query())
        .into_iter()
        .map(|(name, value)| {
            let value = if name == "createTime" { "1700000000000".to_owned() } else { value };
            (name, value)
        })
        .collect();
    assert_eq!(pairs(changed.query()), expected);
}
