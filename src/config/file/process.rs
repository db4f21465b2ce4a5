//! `process` as written.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::document::Node;
use crate::config::file::Reader;
use crate::config::problem::Located;

/// `process` as written.
#[derive(Debug, Default)]
pub(crate) struct ProcessFile {
    pub(crate) run_dir: Option<Located<PathBuf>>,
    pub(crate) reload_on_change: Option<Located<bool>>,
    pub(crate) upgrade_deadline: Option<Located<Duration>>,
}

const PROCESS: [&str; 3] = ["run_dir", "reload_on_change", "upgrade_deadline"];

impl Reader<'_> {
    pub(super) fn process(&mut self, node: &Node) -> ProcessFile {
        let Some(fields) = node.fields("`process`", &PROCESS, self.problems) else {
            return ProcessFile::default();
        };
        ProcessFile {
            run_dir: fields.get("run_dir").and_then(|node| self.path(node, "run_dir")),
            reload_on_change: fields.get("reload_on_change").and_then(|node| {
                let value = node.flag("reload_on_change", self.problems)?;
                Some(Located { value, place: node.place.clone() })
            }),
            upgrade_deadline: fields
                .get("upgrade_deadline")
                .and_then(|node| self.duration(node, "upgrade_deadline")),
        }
    }
}
