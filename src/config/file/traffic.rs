//! `access_log` and `abuse` as written.

use std::time::Duration;

use ipnet::IpNet;

use crate::config::document::{Fields, Node};
use crate::config::file::Reader;
use crate::config::problem::Located;
use crate::config::settings::traffic::{LogAddresses, LogFormat, LogTarget};

/// `access_log` as written.
#[derive(Debug, Default)]
pub(crate) struct AccessLogFile {
    pub(crate) to: Option<Located<LogTarget>>,
    pub(crate) format: Option<Located<LogFormat>>,
    pub(crate) addresses: Option<Located<LogAddresses>>,
}

/// `abuse` as written.
#[derive(Debug, Default)]
pub(crate) struct AbuseFile {
    pub(crate) exempt: Option<Located<Vec<IpNet>>>,
    pub(crate) requests: Option<Located<u32>>,
    pub(crate) burst: Option<Located<u32>>,
    pub(crate) secret_requests: Option<Located<u32>>,
    pub(crate) connections: Option<Located<u32>>,
    pub(crate) failures: Option<Located<u32>>,
    pub(crate) header_time: Option<Located<Duration>>,
    pub(crate) body_time: Option<Located<Duration>>,
    pub(crate) idle_time: Option<Located<Duration>>,
    pub(crate) security_log: Option<Located<bool>>,
}

const ACCESS_LOG: [&str; 3] = ["to", "format", "addresses"];
const ABUSE: [&str; 10] = [
    "exempt",
    "requests",
    "burst",
    "secret_requests",
    "connections",
    "failures",
    "header_time",
    "body_time",
    "idle_time",
    "security_log",
];
/// More requests or connections than one machine serves.
const COUNT_MAX: u32 = 1_000_000;

impl Reader<'_> {
    pub(super) fn access_log(&mut self, node: &Node) -> AccessLogFile {
        let Some(fields) = node.fields("`access_log`", &ACCESS_LOG, self.problems) else {
            return AccessLogFile::default();
        };
        let formats = [("json", LogFormat::Json), ("combined", LogFormat::Combined)];
        let addresses = [
            ("full", LogAddresses::Full),
            ("truncated", LogAddresses::Truncated),
            ("none", LogAddresses::None),
        ];
        AccessLogFile {
            to: fields.get("to").and_then(|node| self.log_target(node)),
            format: self.one_of(&fields, "format", &formats),
            addresses: self.one_of(&fields, "addresses", &addresses),
        }
    }

    fn log_target(&mut self, node: &Node) -> Option<Located<LogTarget>> {
        let Located { value, place } = self.path(node, "to")?;
        let text = node.text("to", self.problems).unwrap_or_default().trim();
        let value = match text {
            "stdout" => LogTarget::Stdout,
            "nowhere" => LogTarget::Nowhere,
            _ => LogTarget::File(value),
        };
        Some(Located { value, place })
    }

    fn one_of<T: Copy>(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        words: &[(&str, T)],
    ) -> Option<Located<T>> {
        let node = fields.get(key)?;
        let text = node.text(key, self.problems)?.trim();
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
        if found.is_none() {
            let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let what = format!("`{key}` cannot be this");
            self.problems.add(&node.place, what, format!("one of {}", names.join(", ")));
        }
        found.map(|(_, value)| Located { value: *value, place: node.place.clone() })
    }

    pub(super) fn abuse(&mut self, node: &Node) -> AbuseFile {
        let Some(fields) = node.fields("`abuse`", &ABUSE, self.problems) else {
            return AbuseFile::default();
        };
        AbuseFile {
            exempt: fields.get("exempt").and_then(|node| self.networks_in(node, "exempt")),
            requests: self.whole(&fields, "requests", COUNT_MAX),
            burst: self.whole(&fields, "burst", COUNT_MAX),
            secret_requests: self.whole(&fields, "secret_requests", COUNT_MAX),
            connections: self.whole(&fields, "connections", COUNT_MAX),
            failures: self.whole(&fields, "failures", COUNT_MAX),
            header_time: self.positive(&fields, "header_time"),
            body_time: self.positive(&fields, "body_time"),
            idle_time: self.positive(&fields, "idle_time"),
            security_log: fields.get("security_log").and_then(|node| {
                let value = node.flag("security_log", self.problems)?;
                Some(Located { value, place: node.place.clone() })
            }),
        }
    }
}
