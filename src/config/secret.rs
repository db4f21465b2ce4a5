//! Where a secret is written, and how it is fetched from there. No message shows what was found, nor
//! anything that may be a secret in the wrong place.

use std::path::{Component, Path, PathBuf};

use crate::bbb::secret::Secret;
use crate::config::Source;
use crate::config::document::{Node, Value};
use crate::config::problem::{Located, Place, Problems};

/// A secret as written: itself, or where it is kept.
#[derive(Debug, Clone)]
pub(crate) enum SecretSource {
    Inline(Secret),
    File(PathBuf),
    Env(String),
    /// A systemd credential: a file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// Spelled so that it is right in YAML and in JSON.
const FORMS: &str = r#"the secret in double quotes, or {"file": "PATH"}, {"env": "NAME"} or {"credential": "NAME"}"#;
const KINDS: [&str; 3] = ["file", "env", "credential"];

impl SecretSource {
    /// Reads what `node` says, which messages call `subject`; a relative path starts at `folder`.
    pub(crate) fn read(
        node: &Node,
        subject: &str,
        folder: &Path,
        problems: &mut Problems,
    ) -> Option<Located<Self>> {
        let value = match &node.value {
            Value::Text(text) | Value::Loose(text) => match usable(text) {
                Ok(secret) => Self::Inline(secret),
                Err(why) => {
                    problems.add(&node.place, format!("{subject} {why}"), FORMS);
                    return None;
                }
            },
            Value::Flag(_) | Value::Number(_) => {
                let what = format!("{subject} must be text, but this reads as {}", node.kind());
                problems.add(&node.place, what, "the secret in double quotes");
                return None;
            }
            Value::Map(_) => Self::read_reference(node, subject, folder, problems)?,
            Value::Nothing | Value::List(_) => {
                let what = format!("{subject} must be a secret, but this is {}", node.kind());
                problems.add(&node.place, what, FORMS);
                return None;
            }
        };
        Some(Located { value, place: node.place.clone() })
    }

    fn read_reference(
        node: &Node,
        subject: &str,
        folder: &Path,
        problems: &mut Problems,
    ) -> Option<Self> {
        let Value::Map(entries) = &node.value else { return None };
        let [(kind, target)] = entries.as_slice() else {
            problems.add(&node.place, format!("{subject} must name exactly one place"), FORMS);
            return None;
        };
        // The key is not shown: forgotten quotes around a secret in braces make it one.
        if !KINDS.contains(&kind.name.as_str()) {
            problems.add(&kind.place, format!("unknown key in {subject}"), FORMS);
            return None;
        }
        let empty = matches!(target.value, Value::Nothing);
        let text = if empty { "" } else { target.text(&kind.name, problems)? };
        if text.trim().is_empty() {
            problems.add(&target.place, format!("`{}` is empty", kind.name), FORMS);
            return None;
        }
        match kind.name.as_str() {
            "file" => Some(Self::File(folder.join(text))),
            "env" => Some(Self::Env(text.to_owned())),
            _ if is_file_name(text) => Some(Self::Credential(text.to_owned())),
            _ => {
                let what = "a credential is named without any folder";
                problems.add(&target.place, what, "the NAME of LoadCredential=NAME:PATH");
                None
            }
        }
    }

    /// Fetches the secret.
    pub(crate) fn resolve(
        this: &Located<Self>,
        source: &Source<'_>,
        problems: &mut Problems,
    ) -> Option<Secret> {
        match &this.value {
            Self::Inline(secret) => Some(secret.clone()),
            Self::File(path) => from_file(path, source, &this.place, problems),
            Self::Env(name) => from_env(name, source, &this.place, problems),
            Self::Credential(name) => {
                let Some(directory) = (source.env)("CREDENTIALS_DIRECTORY") else {
                    let what = format!("no credential `{name}`: systemd passes none to tinyscale");
                    let instead = format!("LoadCredential={name}:PATH in the service's unit file");
                    problems.add(&this.place, what, instead);
                    return None;
                };
                from_file(&Path::new(&directory).join(name), source, &this.place, problems)
            }
        }
    }
}

fn from_file(
    path: &Path,
    source: &Source<'_>,
    place: &Place,
    problems: &mut Problems,
) -> Option<Secret> {
    let shown = path.display();
    match source.read(path) {
        Ok(text) => match usable(one_line(&text)) {
            Ok(secret) => Some(secret),
            Err(why) => {
                let what = format!("the secret file {shown} {why}");
                problems.add(place, what, format!("nothing but the secret into {shown}"));
                None
            }
        },
        Err(why) => {
            let what = format!("the secret file {shown}: {why}");
            problems.add(place, what, "the path of a readable file that holds only the secret");
            None
        }
    }
}

fn from_env(
    name: &str,
    source: &Source<'_>,
    place: &Place,
    problems: &mut Problems,
) -> Option<Secret> {
    // A name in capitals is safe to show; anything else may be the secret itself in the wrong place.
    let plain = name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let shown = if plain { format!("environment variable {name}") } else { "variable".to_owned() };
    match (source.env)(name).map(|text| usable(one_line(&text))) {
        Some(Ok(secret)) => Some(secret),
        Some(Err(why)) => {
            let what = format!("the {shown} named here {why}");
            problems.add(place, what, "a secret into that variable");
            None
        }
        None => {
            let what = format!("the {shown} named here is not set");
            problems.add(place, what, "the name of a variable that holds the secret");
            None
        }
    }
}

/// `text` without the line break that editors and shells leave at its end.
pub(crate) fn one_line(text: &str) -> &str {
    text.trim_end_matches(['\r', '\n'])
}

/// The secret, or the end of a sentence that says why `text` is none: no BBB server and no front end can have
/// one of several lines.
fn usable(text: &str) -> Result<Secret, &'static str> {
    if text.contains(['\r', '\n']) {
        return Err("has more than one line");
    }
    if text.trim().is_empty() { Err("is empty") } else { Secret::new(text).map_err(|_| "is empty") }
}

fn is_file_name(text: &str) -> bool {
    let mut parts = Path::new(text).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
}
