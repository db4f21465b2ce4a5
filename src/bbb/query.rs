//! Raw query strings and form bodies: reading parameters out of them without ever re-encoding the rest.
//!
//! A query is kept as the text it arrived as. Names and values are decoded one at a time for looking at;
//! changing a query means cutting pieces out or appending, never parsing and printing it again
//! (`bbb-api.md` 1.1: `+` or `%20`, order, duplicates and empty `&&` are all part of what is signed).

use std::borrow::Cow;

/// One `name=value` piece of a query, as it stands there.
#[derive(Debug, Clone, Copy)]
pub struct Param<'q> {
    /// The whole piece between two `&`.
    pub raw: &'q str,
    raw_name: &'q str,
    raw_value: &'q str,
}

impl<'q> Param<'q> {
    /// The decoded name, trimmed as BBB trims it (`bbb-api.md` 1.2: a padded ` checksum` counts).
    pub fn name(&self) -> Cow<'q, str> {
        match decode(self.raw_name) {
            Cow::Borrowed(name) => Cow::Borrowed(name.trim()),
            Cow::Owned(name) => Cow::Owned(name.trim().to_owned()),
        }
    }

    /// The decoded value.
    pub fn value(&self) -> Cow<'q, str> {
        decode(self.raw_value)
    }
}

/// The pieces of `query` in order, empty ones left out.
pub fn params(query: &str) -> impl Iterator<Item = Param<'_>> {
    query.split('&').filter(|piece| !piece.is_empty()).map(|raw| {
        let (raw_name, raw_value) = raw.split_once('=').unwrap_or((raw, ""));
        Param { raw, raw_name, raw_value }
    })
}

/// The first value of `name`; servlets take the first of duplicates too.
pub fn first<'q>(query: &'q str, name: &str) -> Option<Cow<'q, str>> {
    params(query).find(|param| param.name() == name).map(|param| param.value())
}

/// `query` without every piece for which `drop` holds; the others keep their bytes and order.
pub fn without(query: &str, drop: impl Fn(&Param<'_>) -> bool) -> String {
    let mut kept = String::with_capacity(query.len());
    for param in params(query).filter(|param| !drop(param)) {
        if !kept.is_empty() {
            kept.push('&');
        }
        kept.push_str(param.raw);
    }
    kept
}

/// `query` with another value for each parameter that `value` gives one; everything else keeps its bytes.
pub fn replace(query: &str, value: impl Fn(&Param<'_>) -> Option<String>) -> String {
    let pieces = query.split('&').map(|raw| {
        let (raw_name, raw_value) = raw.split_once('=').unwrap_or((raw, ""));
        match value(&Param { raw, raw_name, raw_value }) {
            Some(value) => Cow::Owned(format!("{raw_name}={}", encode(&value))),
            None => Cow::Borrowed(raw),
        }
    });
    pieces.collect::<Vec<_>>().join("&")
}

/// Two queries as one.
pub fn join(first: &str, second: &str) -> String {
    match (first, second) {
        (only, "") | ("", only) => only.to_owned(),
        (first, second) => format!("{first}&{second}"),
    }
}

/// Form decoding: `+` is a blank, `%xx` a byte. Escapes that are none stay as they are, bytes that are no
/// UTF-8 become U+FFFD: what a client sends is looked at, never refused, here.
pub fn decode(raw: &str) -> Cow<'_, str> {
    if !raw.contains(['%', '+']) {
        return Cow::Borrowed(raw);
    }
    let bytes = raw.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = bytes.get(at + 1..at + 3).filter(|_| byte == b'%').and_then(hex_byte);
        decoded.push(match (byte, escaped) {
            (_, Some(value)) => value,
            (b'+', None) => b' ',
            (plain, None) => plain,
        });
        at += if escaped.is_some() { 3 } else { 1 };
    }
    Cow::Owned(
        String::from_utf8(decoded)
            .unwrap_or_else(|invalid| String::from_utf8_lossy(invalid.as_bytes()).into_owned()),
    )
}

/// Form encoding as Java's `URLEncoder` does it: blank to `+`, letters, digits and `*-._` kept.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => encoded.push('+'),
            b'*' | b'-' | b'.' | b'_' => encoded.push(char::from(byte)),
            alphanumeric if alphanumeric.is_ascii_alphanumeric() => {
                encoded.push(char::from(alphanumeric));
            }
            other => {
                encoded.push('%');
                encoded.push_str(&hex::encode_upper([other]));
            }
        }
    }
    encoded
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let mut value = [0];
    hex::decode_to_slice(digits, &mut value).ok().map(|()| value[0])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_of_duplicates_counts_and_names_are_decoded() {
        let query = "&&meeting%49D=a+b%2Bc&meetingID=2&empty=&flag";
        assert_eq!(first(query, "meetingID").unwrap(), "a b+c");
        assert_eq!(first(query, "empty").unwrap(), "");
        assert_eq!(first(query, "flag").unwrap(), "");
        assert_eq!(first(query, "absent"), None);
    }

    #[test]
    fn a_padded_name_is_the_name() {
        assert_eq!(first("%20checksum=x", "checksum").unwrap(), "x");
        assert_eq!(first("checksum+=x", "checksum").unwrap(), "x");
    }

    #[test]
    fn cutting_keeps_the_bytes_of_the_rest() {
        let query = "a=%2f&b=1&&c=x+y&b=2";
        assert_eq!(without(query, |param| param.name() == "b"), "a=%2f&c=x+y");
    }

    #[test]
    fn replacing_keeps_the_bytes_of_the_rest() {
        let query = "&a=%2f&&%62=1&c=x+y&b=2&b";
        let replaced = replace(query, |param| (param.name() == "b").then(|| "/ü".to_owned()));
        assert_eq!(replaced, "&a=%2f&&%62=%2F%C3%BC&c=x+y&b=%2F%C3%BC&b=%2F%C3%BC");
        assert_eq!(replace(query, |_| None), query);
    }

    #[test]
    fn broken_escapes_stay_as_they_are() {
        for (raw, expected) in
            [("100%", "100%"), ("%zz", "%zz"), ("%4", "%4"), ("%ff", "\u{fffd}"), ("%+1", "% 1")]
        {
            assert_eq!(decode(raw), expected, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(text in ".*") {
            let encoded = encode(&text);
            prop_assert_eq!(decode(&encoded), text.as_str());
        }

        #[test]
        fn any_text_can_be_looked_at(query in ".*", name in ".*") {
            let _ = first(&query, &name);
            let _ = without(&query, |param| param.value().is_empty());
        }
    }
}
