//! `hundi ledger script`: one JSON object a line in, one out.
//!
//! For scripts, bug reports, conformance tables, and bindings in other languages.
//!
//! ```
//! use hundi_ledger::{MemoryStore, Timestamp, script};
//!
//! let input = br#"{"op":"create_accounts","timestamp":"10","events":[{"id":"1","ledger":1,"code":1}]}
//! {"op":"create_accounts","timestamp":"20","events":[{"id":"1","ledger":2,"code":1,"flags":["history"]}]}
//! {"op":"lookup_accounts","ids":[1],"idz":[]}
//! "#;
//! let mut output = Vec::new();
//! let ended = script::run(&mut MemoryStore::new(), || Timestamp(1), &input[..], &mut output)?;
//! assert_eq!(ended, script::Ended { lines: 3, bad_lines: 1 });
//! assert_eq!(String::from_utf8(output)?, r#"{"results":[{"status":"created","timestamp":"10"}]}
//! {"results":[{"status":"exists_with_different_flags","timestamp":"20"}]}
//! {"error":"the line: no field is called `idz`","line":3}
//! "#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod json;
mod lines;
mod objects;
mod request;
mod session;

use std::io::{self, BufRead, Write};

use serde::Serialize;

use crate::{Reads, Store, Timestamp, engine};
use json::{Complaint, complain};
use lines::{Line, Lines};
use objects::{List, Shown};
use request::Request;

pub use session::{FileSession, Session};

/// The longest line, in bytes: a batch of some 40,000 transfers.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// How a script ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// All lines.
    pub lines: u64,
    /// Those that were answered with an error.
    pub bad_lines: u64,
}

/// Why a script could not go on. A bad line is no reason: it gets its answer.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The input could not be read.
    #[error("cannot read the script: {0}")]
    Io(#[from] io::Error),
    /// The answer to a line could not be written, for instance because nobody reads it any more. The line was run.
    #[error("cannot write the answer to line {line}: {source}; that line was run, and none after it")]
    Answer {
        /// The line, from 1.
        line: u64,
        /// Why.
        source: io::Error,
    },
    /// The ledger could not read or commit. Nothing more is known of the last line.
    #[error("the ledger failed: {0}")]
    Ledger(Box<dyn std::error::Error + Send + Sync>),
}

/// Runs the lines of `input` on a ledger and answers each on `output`. Lines without a `timestamp` get the clock's.
/// An answer is written after what it says is durable.
///
/// # Errors
/// When reading, writing or the ledger fails.
pub fn run<S: Session>(
    session: &mut S,
    mut clock: impl FnMut() -> Timestamp,
    input: impl BufRead,
    mut output: impl Write,
) -> Result<Ended, ScriptError> {
    let mut ended = Ended { lines: 0, bad_lines: 0 };
    let mut lines = Lines::new(input);
    while let Some(line) = lines.next()? {
        ended.lines += 1;
        let line = match line {
            // Some editors begin a file with a byte order mark: RFC 8259 allows to ignore it.
            Line::Text(text) if ended.lines == 1 => {
                Line::Text(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text))
            }
            line => line,
        };
        let answer = match line {
            Line::Text(text) if text.trim_ascii().is_empty() => continue,
            Line::Text(text) => answer(session, &mut clock, text),
            Line::TooLong => {
                complain!("the line is longer than {LINE_BYTES_MAX} bytes").map_err(Failure::Line)
            }
        };
        let mut answer = match answer {
            Ok(answer) => answer,
            Err(Failure::Line(Complaint(error))) => {
                ended.bad_lines += 1;
                serde_json::to_vec(&Bad { error, line: ended.lines }).map_err(io::Error::from)?
            }
            Err(Failure::Script(error)) => return Err(error),
        };
        answer.push(b'\n');
        let written = output.write_all(&answer).and_then(|()| output.flush());
        written.map_err(|source| ScriptError::Answer { line: ended.lines, source })?;
    }
    Ok(ended)
}

/// The present time of the machine, in nanoseconds.
#[must_use]
pub fn system_clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

#[derive(Serialize)]
struct Bad {
    error: String,
    line: u64,
}

/// Why a line has no answer.
enum Failure {
    Line(Complaint),
    Script(ScriptError),
}

impl From<Complaint> for Failure {
    fn from(complaint: Complaint) -> Self {
        Self::Line(complaint)
    }
}

impl From<ScriptError> for Failure {
    fn from(error: ScriptError) -> Self {
        Self::Script(error)
    }
}

/// A failed read of the ledger.
fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::Script(ScriptError::Ledger(Box::new(error)))
}

/// Runs one line and gives its answer.
fn answer<S: Session>(
    session: &mut S,
    clock: &mut impl FnMut() -> Timestamp,
    line: &[u8],
) -> Result<Vec<u8>, Failure> {
    let Ok(line) = std::str::from_utf8(line) else { return Err(Complaint("not UTF-8".to_owned()).into()) };
    let request = Request::parse(line)?;
    let last = session.store().last();
    let mut time = |given: Option<Timestamp>, events: usize| {
        match given {
            Some(time) => Ok(time),
            None => Ok(engine::next_time(last, clock(), events)),
        }
        .and_then(|time| match engine::check_time(last, time, events) {
            Ok(()) => Ok(time),
            Err(error) => complain!("{error}"),
        })
    };
    let commit =
        |session: &mut S| session.commit().map_err(|error| Failure::Script(ScriptError::Ledger(error)));
    match request {
        Request::CreateAccounts(given, events) => {
            let time = time(given, events.len())?;
            let results = engine::create_accounts(session.store(), time, &events).map_err(failed)?;
            commit(session)?;
            say("results", &results)
        }
        Request::CreateTransfers(given, events) => {
            let time = time(given, events.len())?;
            let results = engine::create_transfers(session.store(), time, &events).map_err(failed)?;
            commit(session)?;
            say("results", &results)
        }
        Request::Expire(given) => {
            let time = time(given, 0)?;
            let expired = engine::expire(session.store(), time).map_err(failed)?;
            commit(session)?;
            say("expired", &expired)
        }
        Request::LookupAccounts(ids) => {
            say("accounts", &session.store().lookup_accounts(&ids).map_err(failed)?)
        }
        Request::LookupTransfers(ids) => {
            say("transfers", &session.store().lookup_transfers(&ids).map_err(failed)?)
        }
        Request::GetAccountTransfers(filter) => {
            say("transfers", &session.store().get_account_transfers(&filter).map_err(failed)?)
        }
        Request::GetAccountBalances(filter) => {
            say("balances", &session.store().get_account_balances(&filter).map_err(failed)?)
        }
        Request::QueryAccounts(filter) => {
            say("accounts", &session.store().query_accounts(&filter).map_err(failed)?)
        }
        Request::QueryTransfers(filter) => {
            say("transfers", &session.store().query_transfers(&filter).map_err(failed)?)
        }
        Request::GetChangeEvents(filter) => {
            say("events", &session.store().get_change_events(&filter).map_err(failed)?)
        }
    }
}

/// `{"what":[…]}`
fn say<T>(what: &str, items: &[T]) -> Result<Vec<u8>, Failure>
where
    for<'a> Shown<'a, T>: Serialize,
{
    let mut out = Vec::with_capacity(64 + items.len() * 64);
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(what.as_bytes());
    out.extend_from_slice(b"\":");
    serde_json::to_writer(&mut out, &List(items)).map_err(|error| ScriptError::Io(error.into()))?;
    out.push(b'}');
    Ok(out)
}
