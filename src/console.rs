//! What is printed where: results on stdout, everything else on stderr; colour and progress only for people.

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::failure::Failure;

/// Prints a result for a person. A closed pipe (`| head`) is no fault.
pub(crate) fn say(text: impl Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints one JSON object on one line: all that goes to stdout with `--json`. A closed pipe is no fault here either.
pub(crate) fn json(object: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(object)
        .map_err(|error| Failure::outside(format_args!("cannot write the result as JSON: {error}")))?;
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::outside(format_args!("cannot write the result to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints an error: `hundi: what, where, what to do`.
pub(crate) fn error(text: impl Display) {
    let (bold, plain) = if colours(&std::io::stderr()) { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    let _ = writeln!(std::io::stderr(), "{bold}hundi:{plain} {text}");
}

/// Prints a remark beside the result.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints news of a long run to somebody who watches it.
pub(crate) fn note_on_terminal(text: impl Display) {
    if std::io::stderr().is_terminal() {
        note(text);
    }
}

/// Words that stand out on a terminal, and are plain elsewhere.
pub(crate) fn emphasis(text: &str, good: bool) -> String {
    match (colours(&std::io::stdout()), good) {
        (false, _) => text.to_owned(),
        (true, true) => format!("\x1b[1;32m{text}\x1b[0m"),
        (true, false) => format!("\x1b[1;31m{text}\x1b[0m"),
    }
}

/// Whether to colour: on a terminal that is not `dumb`, unless NO_COLOR is set (no-color.org).
fn colours(stream: &impl std::io::IsTerminal) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    stream.is_terminal() && !refused && !dumb
}

/// Whether what goes to stderr is coloured.
pub(crate) fn colours_on_stderr() -> bool {
    colours(&std::io::stderr())
}

/// A progress bar on stderr; none unless a person looks at it.
pub(crate) fn progress(what: &'static str, total: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg:>12} [{wide_bar}] {human_pos}/{human_len} {elapsed}");
    let bar = ProgressBar::new(total).with_message(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    match style {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}
