//! `balance`, and what servers say about placement, as written.

use std::time::Duration;

use crate::cluster::placement::Policy;
use crate::cluster::placement::capacity::Capacity;
use crate::cluster::placement::tags::Tag;
use crate::config::document::{Fields, Node, Value};
use crate::config::file::Reader;
use crate::config::problem::Located;

/// `balance` as written; `failover_after: never` is a value of `None`.
#[derive(Debug, Default)]
pub(crate) struct BalanceFile {
    pub(crate) policy: Option<Located<Policy>>,
    pub(crate) failover_after: Option<Located<Option<Duration>>>,
    pub(crate) slow_start: Option<Located<Duration>>,
    pub(crate) open_when_all_tagged: Option<Located<bool>>,
    pub(crate) meeting_weight: Option<Located<f64>>,
    pub(crate) voice_weight: Option<Located<f64>>,
    pub(crate) video_weight: Option<Located<f64>>,
    pub(crate) cameras_max: Option<Located<u32>>,
    pub(crate) giant: Option<Located<u32>>,
    pub(crate) giant_weight: Option<Located<f64>>,
}

const BALANCE: [&str; 10] = [
    "policy",
    "failover_after",
    "slow_start",
    "open_when_all_tagged",
    "meeting_weight",
    "voice_weight",
    "video_weight",
    "cameras_max",
    "giant",
    "giant_weight",
];
const WEIGHT_MAX: f64 = 1_000.0;
const PEOPLE_MAX: u32 = 1_000_000;

impl Reader<'_> {
    pub(super) fn balance(&mut self, node: &Node) -> BalanceFile {
        let Some(fields) = node.fields("`balance`", &BALANCE, self.problems) else {
            return BalanceFile::default();
        };
        BalanceFile {
            policy: fields.get("policy").and_then(|node| self.policy(node)),
            failover_after: fields.get("failover_after").and_then(|node| self.failover(node)),
            slow_start: fields.get("slow_start").and_then(|node| self.duration(node, "slow_start")),
            open_when_all_tagged: fields.get("open_when_all_tagged").and_then(|node| {
                let value = node.flag("open_when_all_tagged", self.problems)?;
                Some(Located { value, place: node.place.clone() })
            }),
            meeting_weight: self.cost(&fields, "meeting_weight"),
            voice_weight: self.cost(&fields, "voice_weight"),
            video_weight: self.cost(&fields, "video_weight"),
            cameras_max: self.whole(&fields, "cameras_max", PEOPLE_MAX),
            giant: self.whole(&fields, "giant", PEOPLE_MAX),
            giant_weight: self.cost(&fields, "giant_weight"),
        }
    }

    fn policy(&mut self, node: &Node) -> Option<Located<Policy>> {
        let text = node.text("policy", self.problems)?;
        let policy = Policy::of_name(text.trim());
        if policy.is_none() {
            let names = Policy::ALL.map(Policy::name).join(", ");
            let what = "`policy` is not one of the policies";
            self.problems.add(&node.place, what, format!("one of {names}"));
        }
        policy.map(|value| Located { value, place: node.place.clone() })
    }

    fn failover(&mut self, node: &Node) -> Option<Located<Option<Duration>>> {
        if let Value::Text(text) | Value::Loose(text) = &node.value
            && text.trim() == "never"
        {
            return Some(Located { value: None, place: node.place.clone() });
        }
        let after = self.duration(node, "failover_after")?;
        Some(Located { value: Some(after.value), place: after.place })
    }

    fn cost(&mut self, fields: &Fields<'_>, key: &str) -> Option<Located<f64>> {
        let node = fields.get(key)?;
        let example = format!("a number from 0 to {WEIGHT_MAX}; an idle person counts 1");
        let value = node.number(key, &example, self.problems)?;
        if !(0.0..=WEIGHT_MAX).contains(&value) {
            self.problems.add(&node.place, format!("`{key}` cannot be this number"), example);
            return None;
        }
        Some(Located { value, place: node.place.clone() })
    }

    pub(super) fn capacity(&mut self, node: &Node) -> Option<Capacity> {
        let fields = node.fields("`capacity`", &["people", "meetings"], self.problems)?;
        let mut bound = |key| self.whole(&fields, key, PEOPLE_MAX).map(|bound| bound.value);
        Some(Capacity { people: bound("people"), meetings: bound("meetings") })
    }

    pub(super) fn tags(&mut self, node: &Node) -> Option<Vec<Tag>> {
        let list = node.list("tags", "tags: [big, gpu]", self.problems)?;
        let mut tags: Vec<Tag> = Vec::new();
        for entry in list {
            let Some(text) = entry.text("tags", self.problems) else { continue };
            match Tag::new(text) {
                Ok(tag) if tags.contains(&tag) => {
                    self.problems.add(&entry.place, "this tag is given twice", "each tag once");
                }
                Ok(tag) => tags.push(tag),
                Err(why) => {
                    self.problems.add(&entry.place, format!("a tag {why}"), "a word like big");
                }
            }
        }
        Some(tags)
    }
}
