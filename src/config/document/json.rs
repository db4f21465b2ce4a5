//! JSON to a tree. Not read as YAML, although JSON nearly is: what the first tinyscale's parser took or
//! refused (tabs, surrogate pairs, trailing commas) must stay so.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::config::document::{Key, Node, Value};
use crate::config::problem::{Place, Problems};

/// The tree of `text`.
pub(crate) fn parse(text: &str, place: &Place, problems: &mut Problems) -> Option<Node> {
    // Raw values are scanned without a depth limit; parsing everything first applies serde_json's.
    let parsed = serde_json::from_str::<serde_json::Value>(text)
        .and_then(|_| serde_json::from_str::<&RawValue>(text))
        .and_then(|raw| Text::new(text, place).node(raw));
    match parsed {
        Ok(node) => Some(node),
        Err(error) => {
            // Column 0 is the line break that ends the line before.
            let before = u64::from(error.column() == 0 && error.line() > 1);
            let at = place.at(error.line() as u64 - before, error.column() as u64);
            let what = format!("this is not valid JSON: {}", worded(&error.to_string()));
            problems.add(&at, what, format!("a list like {EXAMPLE}"));
            None
        }
    }
}

/// The parser's message, which holds nothing of the text, in plainer words where it needs them.
fn worded(message: &str) -> &str {
    let message = message.split(" at line ").next().unwrap_or_default();
    if message.starts_with("EOF") {
        "the file ends too early"
    } else if message.starts_with("control character") {
        "a text has no double quote at its end, or holds a line break or tab"
    } else if message == "trailing comma" {
        "there is a comma too many before this"
    } else {
        message
    }
}

/// What a small `servers.json` looks like.
pub(crate) const EXAMPLE: &str =
    r#"[{"host": "https://bbb1.example.org", "secret": "its shared secret"}]"#;

/// A document whose values are slices of one text, so that addresses tell their places.
struct Text<'t> {
    text: &'t str,
    place: &'t Place,
    /// Offsets at which lines begin.
    lines: Vec<usize>,
}

impl<'t> Text<'t> {
    fn new(text: &'t str, place: &'t Place) -> Self {
        let after_breaks = text.match_indices('\n').map(|(offset, _)| offset + 1);
        Self { text, place, lines: std::iter::once(0).chain(after_breaks).collect() }
    }

    fn node(&self, raw: &RawValue) -> Result<Node, serde_json::Error> {
        let json = raw.get();
        let value = match json.as_bytes().first() {
            Some(b'[') => Value::List(
                serde_json::from_str::<Vec<&RawValue>>(json)?
                    .into_iter()
                    .map(|entry| self.node(entry))
                    .collect::<Result<_, _>>()?,
            ),
            Some(b'{') => Value::Map(
                serde_json::from_str::<Entries<'_>>(json)?
                    .0
                    .into_iter()
                    .map(|(key, entry)| Ok((self.key(key)?, self.node(entry)?)))
                    .collect::<Result<_, serde_json::Error>>()?,
            ),
            Some(b'"') => Value::Text(serde_json::from_str(json)?),
            Some(b't' | b'f') => Value::Flag(serde_json::from_str(json)?),
            Some(b'n') => Value::Nothing,
            _ => Value::Number(serde_json::from_str(json)?),
        };
        Ok(Node { place: self.place_of(json), value })
    }

    fn key(&self, raw: &RawValue) -> Result<Key, serde_json::Error> {
        Ok(Key { place: self.place_of(raw.get()), name: serde_json::from_str(raw.get())? })
    }

    fn place_of(&self, part: &str) -> Place {
        let offset = part.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        let line = self.lines.partition_point(|&start| start <= offset);
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let column = self.text.get(start..offset).unwrap_or_default().chars().count() + 1;
        self.place.at(line as u64, column as u64)
    }
}

/// An object with its keys in order, also those written twice.
struct Entries<'j>(Vec<(&'j RawValue, &'j RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn values_know_their_places() {
        let text = "[\n\t{ \"host\": \"ä\\ud83d\\ude00\",\"x\":[1, true, null] }\n]\n";
        let mut problems = Problems::default();
        let node = parse(text, &Place::file(Path::new("f")), &mut problems).unwrap();
        let Value::List(list) = &node.value else { panic!() };
        let Value::Map(map) = &list[0].value else { panic!() };
        assert_eq!(list[0].place.to_string(), "f:2:2");
        assert_eq!(
            (map[0].0.name.as_str(), map[0].0.place.to_string().as_str()),
            ("host", "f:2:4")
        );
        assert_eq!(map[0].1.text("host", &mut problems), Some("ä😀"));
        let Value::List(inner) = &map[1].1.value else { panic!() };
        assert_eq!(inner[1].place.to_string(), "f:2:36");
    }

    #[test]
    fn deep_nesting_is_an_error_not_an_overflow() {
        let text = "[".repeat(100_000) + &"]".repeat(100_000);
        let mut problems = Problems::default();
        assert!(parse(&text, &Place::file(Path::new("f")), &mut problems).is_none());
        assert!(problems.to_string().contains("recursion limit"), "{problems}");
    }
}
