//! What is wrong with a configuration, where, and what to write instead. Refuses nothing itself; those
//! who add a problem see to it that no text of a secret gets into one.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file as the operator named it, or `environment variable NAME`.
    pub file: String,
    /// Line, from 1.
    pub line: Option<u32>,
    /// Column in characters, from 1.
    pub column: Option<u32>,
    /// What is wrong, without a full stop.
    pub what: String,
    /// What to write instead.
    pub instead: Option<String>,
}

/// All that is wrong, in the order of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The problems one by one.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn add(
        &mut self,
        place: &Place,
        what: impl Into<String>,
        instead: impl Into<String>,
    ) {
        self.0.push(Problem {
            file: place.file.as_ref().to_owned(),
            line: place.line,
            column: place.column,
            what: what.into(),
            instead: Some(instead.into()),
        });
    }

    pub(crate) fn sorted(mut self) -> Self {
        self.0.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        self
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, &self.file, self.line, self.column)?;
        write!(f, ": {}", self.what)?;
        if let Some(instead) = &self.instead {
            write!(f, "\n  write instead: {instead}")?;
        }
        Ok(())
    }
}

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    file: Arc<str>,
    line: Option<u32>,
    column: Option<u32>,
}

impl Place {
    pub(crate) fn file(path: &Path) -> Self {
        Self { file: path.display().to_string().into(), line: None, column: None }
    }

    pub(crate) fn variable(name: &str) -> Self {
        Self { file: format!("environment variable {name}").into(), line: None, column: None }
    }

    /// A place in the same file.
    pub(crate) fn at(&self, line: u64, column: u64) -> Self {
        let known = |number: u64| u32::try_from(number).ok().filter(|&number| number > 0);
        Self { file: Arc::clone(&self.file), line: known(line), column: known(column) }
    }

    /// The place as seen from `other`: only the line if both are in one file.
    pub(crate) fn from(&self, other: &Self) -> String {
        match self.line {
            Some(line) if self.file == other.file => format!("line {line}"),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, &self.file, self.line, self.column)
    }
}

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

fn write_place(
    f: &mut fmt::Formatter<'_>,
    file: &str,
    line: Option<u32>,
    column: Option<u32>,
) -> fmt::Result {
    f.write_str(file)?;
    for number in [line, column].into_iter().flatten() {
        write!(f, ":{number}")?;
    }
    Ok(())
}
