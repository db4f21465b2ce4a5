//! `drain` as written.

use std::time::Duration;

use crate::config::document::Node;
use crate::config::duration;
use crate::config::file::Reader;
use crate::config::problem::Located;

/// Longer ones are refused by servers (`bbb-api.md` 2.8).
const MESSAGE_CHARS_MAX: usize = 500;
/// Nobody reads more.
const ANNOUNCEMENTS_MAX: usize = 10;

/// `drain` as written.
#[derive(Debug, Default)]
pub(crate) struct DrainFile {
    pub(crate) message: Option<Located<String>>,
    pub(crate) again_before: Option<Located<Vec<Duration>>>,
}

impl Reader<'_> {
    pub(super) fn drain(&mut self, node: &Node) -> DrainFile {
        let keys = ["message", "again_before"];
        let Some(fields) = node.fields("`drain`", &keys, self.problems) else {
            return DrainFile::default();
        };
        DrainFile {
            message: fields.get("message").and_then(|node| self.message(node)),
            again_before: fields.get("again_before").and_then(|node| self.again_before(node)),
        }
    }

    fn message(&mut self, node: &Node) -> Option<Located<String>> {
        let value = node.text("message", self.problems)?.trim().to_owned();
        if value.chars().count() > MESSAGE_CHARS_MAX {
            let what = "`message` is longer than servers take";
            self.problems.add(&node.place, what, "at most 500 characters");
            return None;
        }
        Some(Located { value, place: node.place.clone() })
    }

    fn again_before(&mut self, node: &Node) -> Option<Located<Vec<Duration>>> {
        let list = node.list("again_before", "again_before: [30m, 5m]", self.problems)?;
        if list.len() > ANNOUNCEMENTS_MAX {
            let what = "`again_before` has too many entries";
            self.problems.add(&node.place, what, "at most 10");
            return None;
        }
        let mut value = Vec::new();
        for entry in list {
            let text = entry.text("again_before", self.problems)?;
            match duration::parse(text.trim()) {
                Ok(duration) => value.push(duration),
                Err(_) => {
                    let what = "an entry of `again_before` is not a time";
                    self.problems.add(&entry.place, what, "a time like `30m` or `5m`");
                    return None;
                }
            }
        }
        Some(Located { value, place: node.place.clone() })
    }
}
