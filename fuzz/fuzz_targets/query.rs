//! Queries are read and cut without a panic, and cutting touches nothing else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tinyscale_fuzz::bbb::call::CallName;
use tinyscale_fuzz::bbb::id::MeetingId;
use tinyscale_fuzz::bbb::query::{decode, encode, first, join, params, without};
use tinyscale_fuzz::bbb::url::ApiUrl;
use tinyscale_fuzz::{decoded, pairs};

fuzz_target!(|input: &str| {
    let (query, other) = input.split_once('\n').unwrap_or((input, "meetingID"));
    check_reading(query, other);
    check_cutting(query, other);
    check_names(input);
});

fn check_reading(query: &str, name: &str) {
    assert_eq!(decode(query), decoded(query));
    assert_eq!(decode(&encode(query)), query);
    assert!(encode(query).bytes().all(|b| b.is_ascii_alphanumeric() || b"*-._+%".contains(&b)));
    let read: Vec<_> =
        params(query).map(|p| (p.name().into_owned(), p.value().into_owned())).collect();
    assert_eq!(read, pairs(query));
    let expected = read.into_iter().find(|(known, _)| known == name).map(|(_, value)| value);
    assert_eq!(first(query, name).map(|value| value.into_owned()), expected);
}

fn check_cutting(query: &str, other: &str) {
    let raws = |query: &str| params(query).map(|p| p.raw.to_owned()).collect::<Vec<_>>();
    let whole = without(query, |_| false);
    assert_eq!(raws(&whole), raws(query));
    let cut = without(query, |param| param.name() == other);
    assert!(first(&cut, other).is_none());
    assert_eq!(without(&cut, |param| param.name() == other), cut);
    let kept: Vec<_> = params(query).filter(|p| p.name() != other).map(|p| p.raw).collect();
    assert_eq!(raws(&cut), kept);
    assert_eq!(raws(&join(query, other)), [raws(query), raws(other)].concat());
}

/// Paths, IDs and URLs: a second reading of what was read gives the same.
fn check_names(text: &str) {
    if let Some(name) = CallName::of_path(text) {
        let again = CallName::of_path(&format!("/bigbluebutton/api/{}", name.as_str()));
        assert_eq!(again.as_ref(), Some(&name));
        if name.is_plausible() {
            assert!(name.as_str().len() <= 64 && name.as_str().is_ascii());
        }
    }
    if let Some(id) = MeetingId::new(text) {
        assert_eq!(MeetingId::new(id.as_str()), Some(id));
    }
    if let Ok(url) = ApiUrl::parse(text) {
        assert_eq!(ApiUrl::parse(&url.to_string()), Ok(url));
    }
}
