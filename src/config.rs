//! From files and environment to [`settings::Settings`]. The only place that knows the shapes of
//! `tinyscale.yaml` and `servers.json`, and the only one that reads them or the environment.
//!
//! Two stages: what was written becomes a `file::File` in which every value knows its place, and that
//! becomes [`settings::Settings`]. Each stage collects all problems instead of stopping at the first.

mod check;
mod document;
mod duration;
pub mod environment;
mod file;
pub mod fleet;
pub mod problem;
mod secret;
mod servers_json;
pub mod settings;
mod size;

use std::io::{Error, ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::config::file::File;
use crate::config::problem::{Place, Problems};
use crate::config::settings::Settings;

/// Where configuration comes from. Nothing here looks at the process: tests need no real environment.
pub struct Source<'a> {
    /// The YAML file of `-c`; without one the environment and `servers.json` say everything.
    pub yaml: Option<&'a Path>,
    /// The working directory: relative paths start here, except those in the YAML file, which start at
    /// that file's folder.
    pub directory: &'a Path,
    /// Looks an environment variable up.
    pub env: &'a dyn Fn(&str) -> Option<String>,
}

/// Reads and checks everything, or says all that is wrong with it. No message holds a secret.
pub fn load(source: &Source<'_>) -> Result<Settings, Problems> {
    let mut problems = Problems::default();
    let written = match source.yaml {
        Some(path) => read_yaml(source, path, &mut problems),
        None => Some(File::default()),
    };
    let environment = environment::read(source, &mut problems);
    // Without the file's own words, whatever it says would be reported as left out.
    let settings =
        written.and_then(|written| check::check(source, written, environment, &mut problems));
    match settings {
        Some(settings) if problems.is_empty() => Ok(settings),
        _ => Err(problems.sorted()),
    }
}

fn read_yaml(source: &Source<'_>, path: &Path, problems: &mut Problems) -> Option<File> {
    let place = Place::file(path);
    match source.read(path) {
        Ok(text) => {
            let node = document::yaml::parse(&text, &place, problems)?;
            let folder = path.parent().unwrap_or(Path::new(""));
            File::read(&node, folder, problems)
        }
        Err(why) => {
            problems.add(&place, why, "-c PATH, with the path of a readable YAML file");
            None
        }
    }
}

/// The folder where commands find the process, as far as the configuration says, whatever else is wrong with it or
/// kept from whoever asks.
pub fn run_dir(source: &Source<'_>) -> Option<PathBuf> {
    let mut unheard = Problems::default();
    let written = source.yaml.and_then(|path| read_yaml(source, path, &mut unheard));
    let written = written.and_then(|file| file.process.run_dir);
    let found = written.or_else(|| environment::read(source, &mut unheard).process.run_dir);
    found.map(|found| source.path(&found.value))
}

/// The largest file that is read. A thousand servers take about 200 KB.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

impl Source<'_> {
    /// The text of a file, or a sentence's end that says why there is none.
    fn read(&self, path: &Path) -> Result<String, String> {
        let full = self.path(path);
        let mut bytes = Vec::new();
        std::fs::File::open(&full)
            .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
            .map_err(|error| unreadable(&error))?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err("is larger than 4 MiB".to_owned());
        }
        let text =
            String::from_utf8(bytes).map_err(|_| "is not text in UTF-8 encoding".to_owned())?;
        // Editors on Windows put a byte order mark first.
        Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
    }

    /// `path` as the program can open it.
    fn path(&self, path: &Path) -> PathBuf {
        self.directory.join(path)
    }
}

fn unreadable(error: &Error) -> String {
    let known = [
        (ErrorKind::NotFound, "there is no such file"),
        (ErrorKind::PermissionDenied, "the user tinyscale runs as may not read this file"),
        (ErrorKind::IsADirectory, "is a folder, not a file"),
    ];
    match known.iter().find(|(kind, _)| *kind == error.kind()) {
        Some((_, why)) => (*why).to_owned(),
        None => format!("cannot be read: {error}"),
    }
}
