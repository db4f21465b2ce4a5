//! `freshness` as written: one time for all calls, or one for each.

use std::time::Duration;

use crate::config::document::{Node, Value};
use crate::config::file::Reader;
use crate::config::problem::Located;

const KEYS: [&str; 2] = ["meeting_info", "meeting_running"];
/// Nobody would believe older answers.
const FRESHNESS_MAX: Duration = Duration::from_secs(60);

/// `freshness` as written.
#[derive(Debug, Default)]
pub(crate) struct FreshnessFile {
    pub(crate) meeting_info: Option<Located<Duration>>,
    pub(crate) meeting_running: Option<Located<Duration>>,
}

impl Reader<'_> {
    pub(super) fn freshness(&mut self, node: &Node) -> FreshnessFile {
        if !matches!(node.value, Value::Map(_)) {
            let both = self.moment(node, "freshness");
            return FreshnessFile { meeting_info: both.clone(), meeting_running: both };
        }
        let Some(fields) = node.fields("`freshness`", &KEYS, self.problems) else {
            return FreshnessFile::default();
        };
        let [info, running] = KEYS;
        FreshnessFile {
            meeting_info: fields.get(info).and_then(|node| self.moment(node, info)),
            meeting_running: fields.get(running).and_then(|node| self.moment(node, running)),
        }
    }

    /// A time that may be nothing, which needs no unit.
    fn moment(&mut self, node: &Node, key: &str) -> Option<Located<Duration>> {
        let is_nothing = match &node.value {
            Value::Number(number) => *number == 0.0,
            Value::Text(text) | Value::Loose(text) => text.trim() == "0",
            Value::Nothing | Value::Flag(_) | Value::List(_) | Value::Map(_) => false,
        };
        if is_nothing {
            return Some(Located { value: Duration::ZERO, place: node.place.clone() });
        }
        let found = self.duration(node, key)?;
        if found.value > FRESHNESS_MAX {
            let what = format!("`{key}` is longer than a minute");
            self.problems.add(&found.place, what, "a time like 1s, or 0 to ask every time");
            return None;
        }
        Some(found)
    }
}
