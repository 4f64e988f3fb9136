//! What is wrong with an orders file: every line and column, the first twenty shown.

use std::fmt;
use std::path::{Path, PathBuf};

/// How many problems are shown before only their number is.
const SHOWN_MAX: usize = 20;
/// How many problems are counted before reading stops: a file of another kind has one on every line.
const COUNTED_MAX: u64 = 1_000_000;
/// How much of the file's own text a problem repeats, in characters.
const QUOTED_MAX: usize = 80;

/// A text of the file in quotes, cut short where it is long: a problem stays a line, whatever the file holds.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_MAX) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

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
        self.add(format_args!("line {line}, column {column}: {}: {what}", quoted(value)));
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
        let count = match self.count {
            1 => "1 problem".to_owned(),
            COUNTED_MAX.. => format!("{COUNTED_MAX} problems or more, the rest was not read"),
            count => format!("{count} problems"),
        };
        write!(f, "{} is refused, nothing was started: {count}", self.path.display())?;
        for problem in &self.shown {
            write!(f, "\n  {problem}")?;
        }
        let more = self.count.saturating_sub(self.shown.len() as u64);
        if more > 0 {
            write!(f, "\n  and {more} more{}", if self.too_many() { " at least" } else { "" })?;
        }
        Ok(())
    }
}
