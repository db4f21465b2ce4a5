//! `limits` and `join` as written.

use crate::config::document::{Fields, Node, Value};
use crate::config::file::Reader;
use crate::config::problem::Located;
use crate::config::size;

/// `limits` as written, in bytes.
#[derive(Debug, Default)]
pub(crate) struct LimitsFile {
    pub(crate) documents: Option<Located<u64>>,
    pub(crate) text_tracks: Option<Located<u64>>,
    pub(crate) other_bodies: Option<Located<u64>>,
}

/// `join` as written.
#[derive(Debug, Default)]
pub(crate) struct JoinFile {
    pub(crate) heal_create_time: Option<Located<bool>>,
}

const LIMITS: [&str; 3] = ["documents", "text_tracks", "other_bodies"];
const JOIN: [&str; 1] = ["heal_create_time"];

impl Reader<'_> {
    pub(super) fn limits(&mut self, node: &Node) -> LimitsFile {
        let Some(fields) = node.fields("`limits`", &LIMITS, self.problems) else {
            return LimitsFile::default();
        };
        LimitsFile {
            documents: self.size(&fields, "documents"),
            text_tracks: self.size(&fields, "text_tracks"),
            other_bodies: self.size(&fields, "other_bodies"),
        }
    }

    pub(super) fn join(&mut self, node: &Node) -> JoinFile {
        let Some(fields) = node.fields("`join`", &JOIN, self.problems) else {
            return JoinFile::default();
        };
        let heal_create_time = fields.get("heal_create_time").and_then(|node| {
            let value = node.flag("heal_create_time", self.problems)?;
            Some(Located { value, place: node.place.clone() })
        });
        JoinFile { heal_create_time }
    }

    fn size(&mut self, fields: &Fields<'_>, key: &str) -> Option<Located<u64>> {
        let example = "a size like 512KiB or 8MiB";
        let node = fields.get(key)?;
        let parsed = match &node.value {
            Value::Text(text) | Value::Loose(text) => size::parse(text),
            Value::Number(_) => Err("has no unit"),
            Value::Nothing | Value::Flag(_) | Value::List(_) | Value::Map(_) => {
                node.wrong_kind(key, "a size", example, self.problems);
                return None;
            }
        };
        match parsed {
            Ok(value) => Some(Located { value, place: node.place.clone() }),
            Err(why) => {
                self.problems.add(&node.place, format!("`{key}` {why}"), example);
                None
            }
        }
    }
}
