//! `callbacks` and `hooks` as written.

use crate::bbb::checksum::Algorithm;
use crate::callback::target::Networks;
use crate::config::document::Node;
use crate::config::file::Reader;
use crate::config::problem::Located;
use crate::hook::sign::Form;

/// `callbacks` as written.
#[derive(Debug, Default)]
pub(crate) struct CallbacksFile {
    pub(crate) networks: Option<Located<Networks>>,
}

/// `hooks` as written.
#[derive(Debug, Default)]
pub(crate) struct HooksFile {
    pub(crate) version: Option<Located<Form>>,
    pub(crate) checksum: Option<Located<Algorithm>>,
}

impl Reader<'_> {
    pub(super) fn callbacks(&mut self, node: &Node) -> CallbacksFile {
        let Some(fields) = node.fields("`callbacks`", &["networks"], self.problems) else {
            return CallbacksFile::default();
        };
        let networks = fields.get("networks").and_then(|node| self.networks(node));
        CallbacksFile { networks }
    }

    fn networks(&mut self, node: &Node) -> Option<Located<Networks>> {
        let example = "networks: [public, private]";
        let list = node.list("networks", example, self.problems)?;
        let mut value = Networks { public: false, private: false, loopback: false };
        for entry in list {
            match entry.text("networks", self.problems)?.trim() {
                "public" => value.public = true,
                "private" => value.private = true,
                "loopback" => value.loopback = true,
                _ => {
                    let what = "this is not one of the networks";
                    self.problems.add(&entry.place, what, "`public`, `private` or `loopback`");
                    return None;
                }
            }
        }
        Some(Located { value, place: node.place.clone() })
    }

    pub(super) fn hooks(&mut self, node: &Node) -> HooksFile {
        let Some(fields) = node.fields("`hooks`", &["version", "checksum"], self.problems) else {
            return HooksFile::default();
        };
        let version = fields.get("version").and_then(|node| self.hooks_version(node));
        let checksum = fields.get("checksum").and_then(|node| {
            let value = self.algorithm(node)?;
            Some(Located { value, place: node.place.clone() })
        });
        HooksFile { version, checksum }
    }

    fn hooks_version(&mut self, node: &Node) -> Option<Located<Form>> {
        // Without quotes 3.10 would read as 3.1.
        let text = node.text("version", self.problems)?;
        let value = Form::of_version(text.trim());
        if value.is_none() {
            let what = "`version` is not a release of bbb-webhooks";
            self.problems.add(&node.place, what, "a version like \"3.4\" or \"2.6\"");
        }
        Some(Located { value: value?, place: node.place.clone() })
    }
}
