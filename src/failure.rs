//! How a command ends when it does not end well: one line for a person, one number for a script.

use std::fmt;
use std::process::ExitCode;

/// What the exit code says. Documented in `hundi --help`; the numbers do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// What was asked for did not hold: an audit found something, a payment was refused, an outcome is unknown.
    No = 1,
    /// The command line is wrong, in a way that only the command itself can tell. (What its grammar can tell exits so too.)
    Usage = 2,
    /// An input file is refused: orders, `network.toml`, a certificate.
    Input = 3,
    /// The outside failed: a disk, a port, a node that does not answer.
    Outside = 4,
    /// A fault of the program itself.
    Bug = 70,
    /// Stopped by Ctrl-C or SIGTERM.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command stops. The text says what, where, and what to do; it has no line breaks unless it lists
/// several faults of one input.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    text: String,
}

impl Failure {
    /// A failure with its text.
    pub(crate) fn new(exit: Exit, text: impl fmt::Display) -> Self {
        Self { exit, text: text.to_string() }
    }

    /// The command line is wrong.
    pub(crate) fn usage(text: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, text)
    }

    /// An input file is refused.
    pub(crate) fn input(text: impl fmt::Display) -> Self {
        Self::new(Exit::Input, text)
    }

    /// A disk, a port or another node failed.
    pub(crate) fn outside(text: impl fmt::Display) -> Self {
        Self::new(Exit::Outside, text)
    }

    /// Stopped from outside.
    pub(crate) fn interrupted() -> Self {
        Self::new(Exit::Interrupted, "interrupted; every node that this command started has been stopped")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Adds to an error of the outside what was tried.
pub(crate) trait While<T> {
    /// Names what was tried, for example `cannot read orders.csv`.
    fn or_fail(self, what: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: fmt::Display> While<T> for Result<T, E> {
    fn or_fail(self, what: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure::outside(format_args!("{}: {error}", what())))
    }
}
