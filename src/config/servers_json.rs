//! `servers.json`, the server list of the first tinyscale: `[{"host": .., "secret": ..}]`, and optional
//! `name` and `weight`. What was valid there is valid here.

use std::path::Path;

use crate::config::Source;
use crate::config::document::{Value, json};
use crate::config::file::{ServerFile, Spelling};
use crate::config::problem::{Place, Problems};

const SPELLING: Spelling = Spelling {
    known: &["host", "secret", "name", "weight"],
    url: "host",
    url_example: r#""host": "https://bbb1.example.org""#,
    secret_example: r#""secret": "...", with what `bbb-conf --secret` shows on that server"#,
};

/// The servers of the file at `path`, which was named at `named`; `None` if there is no list at all.
pub(crate) fn read(
    source: &Source<'_>,
    path: &Path,
    named: &Place,
    problems: &mut Problems,
) -> Option<Vec<ServerFile>> {
    let place = Place::file(path);
    let text = match source.read(path) {
        Ok(text) => text,
        Err(why) => {
            let instead = format!("{} into {}", json::EXAMPLE, source.path(path).display());
            let default = *named == place;
            let what =
                if default { why } else { format!("the server list {}: {why}", path.display()) };
            problems.add(named, what, instead);
            return None;
        }
    };
    let node = json::parse(&text, &place, problems)?;
    let Value::List(list) = &node.value else {
        let what = format!("this must be a list of servers, but it is {}", node.kind());
        problems.add(&node.place, what, json::EXAMPLE);
        return None;
    };
    if list.is_empty() {
        problems.add(&node.place, "there are no servers in this list", json::EXAMPLE);
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let entries = list.iter();
    Some(entries.filter_map(|entry| ServerFile::read(entry, &SPELLING, folder, problems)).collect())
}
