//! Request parameters as a servlet sees them: the query's first, then the form body's.
//!
//! Refuses to be used for checksums over queries: those need the raw bytes (`checksum`).

/// Decoded parameters in the order received; the first of a name wins.
#[derive(Debug, Clone, Default)]
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    /// The parameters of a query or form body. A name or value with a broken escape is dropped, as
    /// Tomcat does.
    pub(crate) fn parse(raw: &str) -> Self {
        let mut params = Self::default();
        params.append(raw);
        params
    }

    /// Adds the parameters of `raw` behind those already known.
    pub(crate) fn append(&mut self, raw: &str) {
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if let (Some(name), Some(value)) = (decode(name), decode(value)) {
                self.pairs.push((name, value));
            }
        }
    }

    /// The first value of `name`, without control characters and outer white space, if the parameter is there.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| sanitize(value))
    }

    /// As [`Self::get`], but a parameter that is there and empty counts as absent.
    pub(crate) fn filled(&self, name: &str) -> Option<String> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Whether `name` is present and says `true`.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The number that `name` holds, if it holds one.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// Every parameter whose name starts with `prefix`, without the prefix; first of a name wins.
    pub(crate) fn prefixed<'p>(
        &'p self,
        prefix: &'p str,
    ) -> impl Iterator<Item = (&'p str, String)> + 'p {
        let mut seen: Vec<&str> = Vec::new();
        self.pairs.iter().filter_map(move |(name, value)| {
            let rest = name.strip_prefix(prefix)?;
            if seen.contains(&rest) {
                return None;
            }
            seen.push(rest);
            Some((rest, sanitize(value)))
        })
    }

    /// All pairs, decoded and in order.
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }
}

/// `text` with `+` and `%xx` decoded; `None` if an escape is broken. Bytes that are no UTF-8 become U+FFFD.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let (digits, tail) = tail.split_at_checked(2)?;
                let mut byte = [0];
                hex::decode_to_slice(digits, &mut byte).ok()?;
                bytes.push(byte[0]);
                rest = tail;
            }
            other => bytes.push(*other),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// `text` as Java's `URLEncoder` writes it: space becomes `+`, letters, digits and `*-._` stay.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// `text` without control characters and outer white space.
pub(crate) fn sanitize(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_follows_servlets() {
        let cases = [
            ("a+b%20c", Some("a b c")),
            ("%c3%BC", Some("ü")),
            ("ü", Some("ü")),
            ("50%", None),
            ("%zz", None),
            ("%ff", Some("\u{fffd}")),
            ("", Some("")),
        ];
        for (text, expected) in cases {
            assert_eq!(decode(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_first_of_a_name_wins_and_the_query_comes_first() {
        let mut params = Params::parse("a=1&&b&a=2");
        params.append("a=3&c=+x%07+");
        assert_eq!(params.get("a").as_deref(), Some("1"));
        assert_eq!(params.get("b").as_deref(), Some(""));
        assert_eq!(params.get("c").as_deref(), Some("x"));
        assert_eq!(params.filled("b"), None);
    }

    #[test]
    fn encoding_is_javas() {
        assert_eq!(encode("a b*-._~ü/"), "a+b*-._%7E%C3%BC%2F");
    }
}
