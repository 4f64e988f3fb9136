//! What is wrong with an orders file: every line and column, the first twenty shown.

use std::fmt;
use std::path::{Path, PathBuf};

/// How many problems are shown before only their number is.
const SHOWN_MAX: usize = 20;
/// How many problems are counted before reading stops: a file of another kind has one on every line.
const COUNTED_MAX: u64 = 1_000_000;

/// The problems found so far.
#[derive(Debug)]
pub(crate) struct Problems {
    path: PathBuf,
    shown: Vec<String>,
    count: u64,
}

impl Problems {
    /// No problem yet.
    pub(crate) fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), shown: Vec::new(), count: 0 }
    }

    /// A problem of the whole file.
    pub(crate) fn add(&mut self, what: impl fmt::Display) {
        self.count += 1;
        if self.shown.len() < SHOWN_MAX {
            self.shown.push(what.to_string());
        }
    }

    /// A problem of a whole line.
    pub(crate) fn line(&mut self, line: u64, what: impl fmt::Display) {
        self.add(format_args!("line {line}: {what}"));
    }

    /// A problem of one field.
    pub(crate) fn field(&mut self, line: u64, column: &str, value: &str, what: impl fmt::Display) {
        let shown: String = value.chars().take(40).collect();
        let cut = if value.chars().nth(40).is_some() { "…" } else { "" };
        self.add(format_args!("line {line}, column {column}: {shown:?}{cut}: {what}"));
    }

    /// Whether it makes no sense to read on.
    pub(crate) fn too_many(&self) -> bool {
        self.count >= COUNTED_MAX
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems = if self.count == 1 { "problem" } else { "problems" };
        write!(f, "{} is refused, nothing was started: {} {problems}", self.path.display(), self.count)?;
        for problem in &self.shown {
            write!(f, "\n  {problem}")?;
        }
        let more = self.count.saturating_sub(self.shown.len() as u64);
        if more > 0 {
            write!(f, "\n  and {more} more")?;
        }
        Ok(())
    }
}
