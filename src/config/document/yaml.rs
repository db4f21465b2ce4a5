//! YAML to a tree. Its errors are worded without the source line, which may hold a secret.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Error, Location, NonFiniteFloatPolicy, Spanned};

use crate::config::document::{Key, Node, Value};
use crate::config::problem::{Place, Problems};

/// The tree of `text`; an empty document is an empty mapping.
pub(crate) fn parse(text: &str, place: &Place, problems: &mut Problems) -> Option<Node> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        // Both are kept, so that a key written twice is told together with all other problems.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        // An unquoted secret like 1e999 must stay a number, to be refused as one.
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
        Ok(raw) => {
            let node = raw.value.place(&raw.referenced, place);
            let empty = matches!(node.value, Value::Nothing);
            Some(if empty { Node { value: Value::Map(Vec::new()), ..node } } else { node })
        }
        Err(Error::Eof { .. }) => {
            Some(Node { place: place.clone(), value: Value::Map(Vec::new()) })
        }
        Err(error) => {
            let at = error.location().map_or_else(|| place.clone(), |at| located(&at, place));
            let (what, instead) = worded(error.without_snippet());
            problems.add(&at, what, instead);
            None
        }
    }
}

/// The parser's own words only for pure syntax, where they are fixed but for one character; its other
/// messages may quote values.
fn worded(error: &Error) -> (String, &'static str) {
    if let Error::MultipleDocuments { .. } = error {
        ("a second document starts here".to_owned(), "everything without `---` lines")
    } else if let Error::UnknownAnchor { .. } = error {
        let what = "`*` refers to an anchor that is not defined";
        (what.to_owned(), "the text in double quotes, if it begins with `*`")
    } else if let Error::ExternalMessage { msg, .. } = error {
        let instead = "the keys of a group in one column, after spaces and never tabs; and text that \
                       holds `: ` or ` #`, or begins with a sign such as [ { * & ! % @, in double \
                       quotes";
        (format!("this is not valid YAML: {msg}"), instead)
    } else {
        let instead = "plain keys and values as in conf/tinyscale.yaml, texts in double quotes";
        ("this is not YAML that tinyscale can read".to_owned(), instead)
    }
}

fn located(at: &Location, place: &Place) -> Place {
    place.at(at.line(), at.column())
}

/// A value as the parser hands it over, still without the name of its file.
enum Raw {
    Leaf(Value),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl Raw {
    fn place(self, at: &Location, file: &Place) -> Node {
        let value = match self {
            Self::Leaf(value) => value,
            Self::List(list) => Value::List(
                list.into_iter().map(|entry| entry.value.place(&entry.referenced, file)).collect(),
            ),
            Self::Map(map) => Value::Map(
                map.into_iter()
                    .map(|(key, entry)| {
                        let place = located(&key.referenced, file);
                        let node = entry.value.place(&entry.referenced, file);
                        (Key { place, name: key.value }, node)
                    })
                    .collect(),
            ),
        };
        Node { place: located(at, file), value }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Nothing))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Flag(flag)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Number(number as f64)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Number(number as f64)))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Number(number as f64)))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Number(number as f64)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Number(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Leaf(Value::Text(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = seq.next_element()? {
            list.push(entry);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = access.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}
