//! Parameters in request bodies: how BBB 2.x hashes them, and how those of `multipart/form-data` become the
//! same text that a URL-encoded body would have been. What is looked at here is not verified.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use crate::bbb::query;

/// BBB 2.x's rebuild of a form body: keys sorted, values encoded again, the checksum left out
/// (`bbb-api.md` 1.4).
pub(crate) fn sorted(form: &str) -> String {
    let mut by_name: BTreeMap<Vec<u16>, (Cow<'_, str>, Vec<String>)> = BTreeMap::new();
    for param in query::params(form).filter(|param| param.name() != "checksum") {
        // Java sorts by UTF-16 code units, which differs from UTF-8 order beyond the first plane.
        let order = param.name().encode_utf16().collect();
        let (_, values) = by_name.entry(order).or_insert_with(|| (param.name(), Vec::new()));
        values.push(query::encode(&param.value()));
    }
    let pieces: Vec<String> = by_name
        .into_values()
        .flat_map(|(name, values)| {
            values.into_iter().map(move |value| format!("{name}={value}")).collect::<Vec<_>>()
        })
        .collect();
    pieces.join("&")
}

/// Whether a parameter stands in both. Bodies are read before anything is verified, so the work grows with
/// their length and not with the product of both.
pub(crate) fn overlaps(query: &str, form: &str) -> bool {
    let names: HashSet<Cow<'_, str>> = query::params(query).map(|param| param.name()).collect();
    !names.is_empty() && query::params(form).any(|param| names.contains(&param.name()))
}

/// A form body of these fields.
pub fn encode<'f>(fields: impl IntoIterator<Item = (&'f str, &'f str)>) -> String {
    let pieces = fields
        .into_iter()
        .map(|(name, value)| format!("{}={}", query::encode(name), query::encode(value)));
    pieces.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rebuild_sorts_by_utf_16_and_keeps_the_order_of_repeated_keys() {
        for (form, expected) in [
            ("b=2&a=1&checksum=x", "a=1&b=2"),
            ("a=2&b=3&a=1", "a=2&a=1&b=3"),
            ("a=%2f+~", "a=%2F+%7E"),
            ("\u{ff5e}=1&\u{1f600}=2", "\u{1f600}=2&\u{ff5e}=1"),
            ("", ""),
        ] {
            assert_eq!(sorted(form), expected, "{form}");
        }
    }

    #[test]
    fn names_are_compared_decoded() {
        assert!(overlaps("a=1&meetingID=m", "meeting%49D=x"));
        assert!(overlaps("a=1", "b=1&+a=2"));
        assert!(!overlaps("a=1&b=2", "c=1&d=2"));
        assert!(!overlaps("", "c=1"));
    }

    #[test]
    fn fields_survive_encoding() {
        let form = encode([("name", "Größe & Co=1"), ("meetingID", "m")]);
        assert_eq!(form, "name=Gr%C3%B6%C3%9Fe+%26+Co%3D1&meetingID=m");
    }
}
