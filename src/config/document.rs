//! A YAML or JSON document as a tree in which every key and value knows its place.
//!
//! Deriving serde for the final types would stop at the first mistake and let the parser word it; the
//! tree is read by hand instead, so that all mistakes are told at once and in the operator's terms.
//! Messages name keys and kinds, never the text of a value: it may be a secret.

pub(crate) mod json;
pub(crate) mod yaml;

use crate::config::problem::{Place, Problems};

/// One value. No `Debug` here or below: texts may be secrets.
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

pub(crate) enum Value {
    /// `null`, or a key with nothing after it.
    Nothing,
    Flag(bool),
    Number(f64),
    Text(String),
    /// From the environment, which knows only text: also a number or a flag where one is wanted.
    Loose(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) name: String,
}

impl Node {
    /// The value of `key` as text.
    pub(crate) fn text(&self, key: &str, problems: &mut Problems) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Loose(text) => Some(text),
            Value::Flag(_) | Value::Number(_) => {
                let what = format!("`{key}` must be text, but this reads as {}", self.kind());
                problems.add(&self.place, what, "the same in double quotes");
                None
            }
            Value::Nothing | Value::List(_) | Value::Map(_) => {
                self.wrong_kind(key, "text", &format!("{key}: some text"), problems);
                None
            }
        }
    }

    /// The value of `key` as a number.
    pub(crate) fn number(&self, key: &str, example: &str, problems: &mut Problems) -> Option<f64> {
        let number = match &self.value {
            Value::Number(number) => Some(*number),
            Value::Loose(text) => text.trim().parse().ok(),
            Value::Nothing | Value::Flag(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => {
                None
            }
        };
        if number.is_none() {
            self.wrong_kind(key, "a number", example, problems);
        }
        number
    }

    /// The value of `key` as a whole number within `range`.
    pub(crate) fn whole(
        &self,
        key: &str,
        range: std::ops::RangeInclusive<u32>,
        problems: &mut Problems,
    ) -> Option<u32> {
        let (low, high) = (*range.start(), *range.end());
        let example = format!("a whole number from {low} to {high}");
        let number = self.number(key, &example, problems)?;
        let whole = range.contains(&(number as u32)) && f64::from(number as u32) == number;
        if !whole {
            problems.add(&self.place, format!("`{key}` cannot be this number"), example);
        }
        whole.then_some(number as u32)
    }

    /// The value of `key` as true or false.
    pub(crate) fn flag(&self, key: &str, problems: &mut Problems) -> Option<bool> {
        let flag = match &self.value {
            Value::Flag(flag) => Some(*flag),
            Value::Loose(text) => text.trim().to_ascii_lowercase().parse().ok(),
            Value::Nothing | Value::Number(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => {
                None
            }
        };
        if flag.is_none() {
            self.wrong_kind(key, "true or false", "true or false", problems);
        }
        flag
    }

    /// The value of `key` as a list with at least one entry.
    pub(crate) fn list(
        &self,
        key: &str,
        example: &str,
        problems: &mut Problems,
    ) -> Option<&[Self]> {
        let Value::List(list) = &self.value else {
            self.wrong_kind(key, "a list", example, problems);
            return None;
        };
        if list.is_empty() {
            problems.add(&self.place, format!("`{key}` is an empty list"), example);
            return None;
        }
        Some(list)
    }

    /// The keys and values of what `subject` names; keys other than `known` and keys written twice are
    /// problems, and left out.
    pub(crate) fn fields(
        &self,
        subject: &str,
        known: &[&str],
        problems: &mut Problems,
    ) -> Option<Fields<'_>> {
        let Value::Map(entries) = &self.value else {
            let what = format!(
                "{subject} must be written as keys and values, but this is {}",
                self.kind()
            );
            problems.add(&self.place, what, format!("one or more of {}", listed(known)));
            return None;
        };
        for (i, (key, _)) in entries.iter().enumerate() {
            if !known.contains(&key.name.as_str()) {
                let (shown, instead) = suggestion(&key.name, known);
                let what = format!("unknown key{shown} in {subject}");
                problems.add(&key.place, what, instead);
            } else if let Some((first, _)) = entries[..i].iter().find(|(k, _)| k.name == key.name) {
                let what = format!(
                    "`{}` is written twice in {subject}; the first is on {}",
                    key.name,
                    first.place.from(&key.place)
                );
                problems.add(&key.place, what, format!("`{}` only once", key.name));
            }
        }
        Some(Fields { place: &self.place, entries })
    }

    pub(crate) fn wrong_kind(
        &self,
        key: &str,
        wanted: &str,
        instead: &str,
        problems: &mut Problems,
    ) {
        let what = format!("`{}` must be {wanted}, but this is {}", key, self.kind());
        problems.add(&self.place, what, instead);
    }

    /// What the value is, without saying what it holds.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Nothing => "empty",
            Value::Flag(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) | Value::Loose(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a group of keys",
        }
    }
}

/// The keys and values of one mapping.
pub(crate) struct Fields<'n> {
    pub(crate) place: &'n Place,
    entries: &'n [(Key, Node)],
}

impl<'n> Fields<'n> {
    /// The value of `key`; a key with nothing after it counts as left out.
    pub(crate) fn get(&self, key: &str) -> Option<&'n Node> {
        let (_, node) = self.entries.iter().find(|(k, _)| k.name == key)?;
        (!matches!(node.value, Value::Nothing)).then_some(node)
    }

    /// The value of `key`, whose absence is a problem of `subject`.
    pub(crate) fn need(
        &self,
        key: &str,
        subject: &str,
        example: &str,
        problems: &mut Problems,
    ) -> Option<&'n Node> {
        let found = self.get(key);
        if found.is_none() {
            match self.entries.iter().find(|(k, _)| k.name == key) {
                Some((empty, _)) => {
                    problems.add(&empty.place, format!("`{key}` is empty"), example);
                }
                None => problems.add(self.place, format!("{subject} has no `{key}`"), example),
            }
        }
        found
    }
}

/// An unknown key as far as it may be shown, and "did you mean" or all that could have been meant.
///
/// Where secrets are written, a forgotten `secret:` makes the secret itself a key; so does a slip of
/// indentation elsewhere. Only what resembles a known key, or at least no secret, is shown.
fn suggestion(name: &str, known: &[&str]) -> (String, String) {
    let same = |a: &str| a.to_ascii_lowercase().replace(['-', ' ', '_'], "");
    let synonym = SYNONYMS.iter().find(|(other, key)| *other == name && known.contains(key));
    let near = known
        .iter()
        .map(|key| (strsim::damerau_levenshtein(&same(name), &same(key)), *key))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, key)| *distance <= 1 + key.len() / 4)
        .or(synonym.map(|(_, key)| (0, *key)));
    let word = name.len() <= 20 && name.chars().all(|c| c.is_ascii_lowercase() || "_-".contains(c));
    let showable = near.is_some() || word && !known.contains(&"secret");
    let shown = if showable { format!(" `{}`", name.escape_debug()) } else { String::new() };
    let instead = match (near, known) {
        (Some((_, key)), _) => format!("`{key}` (did you mean that?)"),
        (None, [key]) => format!("`{key}`, the only key known here"),
        (None, _) => format!("one of {}", listed(known)),
    };
    (shown, instead)
}

/// Other words for keys: those of the other file and of other programs.
const SYNONYMS: [(&str, &str); 4] =
    [("host", "url"), ("url", "host"), ("addr", "address"), ("path", "file")];

fn listed(keys: &[&str]) -> String {
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}
