//! As much of PostgreSQL's protocol 3.0 as a benchmark needs: simple queries over a unix socket.

use std::io::{BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// The server must answer within this; everything here takes milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// No answer that a benchmark asks for is longer.
const MESSAGE_MAX: usize = 1 << 20;

/// Why a query failed.
#[derive(Debug)]
pub(super) enum QueryError {
    /// The server says no; the text is its own.
    Refused(String),
    /// The connection is broken.
    Broken(String),
}

impl std::fmt::Display for QueryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(what) => write!(f, "PostgreSQL refuses: {what}"),
            Self::Broken(what) => write!(f, "the connection to PostgreSQL broke: {what}"),
        }
    }
}

impl From<std::io::Error> for QueryError {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

/// What came back: a tag for each statement (`UPDATE 1`), and the first column of all rows.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) tags: Vec<String>,
    pub(super) rows: Vec<String>,
}

/// A connection as the user `postgres`.
#[derive(Debug)]
pub(super) struct Connection {
    stream: BufReader<UnixStream>,
}

impl Connection {
    pub(super) fn open(socket: &Path) -> Result<Self, QueryError> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        let mut connection = Self { stream: BufReader::new(stream) };
        let mut startup = 196_608u32.to_be_bytes().to_vec(); // Version 3.0.
        startup.extend_from_slice(b"user\0postgres\0database\0postgres\0\0");
        let length = u32::try_from(startup.len() + 4).unwrap_or(u32::MAX);
        let mut message = length.to_be_bytes().to_vec();
        message.append(&mut startup);
        connection.stream.get_mut().write_all(&message)?;
        connection.receive()?;
        Ok(connection)
    }

    /// Asks and waits.
    pub(super) fn query(&mut self, sql: &str) -> Result<Answer, QueryError> {
        self.send(sql)?;
        self.receive()
    }

    /// Asks; the answer must be received before the next question.
    pub(super) fn send(&mut self, sql: &str) -> Result<(), QueryError> {
        let length = u32::try_from(sql.len() + 5).map_err(|error| QueryError::Broken(error.to_string()))?;
        let mut message = Vec::with_capacity(sql.len() + 6);
        message.push(b'Q');
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(sql.as_bytes());
        message.push(0);
        Ok(self.stream.get_mut().write_all(&message)?)
    }

    /// Waits for the answer to the last question.
    pub(super) fn receive(&mut self) -> Result<Answer, QueryError> {
        let mut answer = Answer::default();
        let mut refused = None;
        loop {
            let (kind, body) = self.message()?;
            match kind {
                b'Z' => return refused.map_or(Ok(answer), |what| Err(QueryError::Refused(what))),
                b'C' => answer.tags.push(text(&body)),
                b'D' => answer.rows.push(first_column(&body).unwrap_or_default()),
                b'E' => refused = Some(error_text(&body)),
                b'R' if body != [0, 0, 0, 0] => {
                    return Err(QueryError::Broken("it wants a password".to_owned()));
                }
                _ => {} // Parameters, notices, descriptions of rows.
            }
        }
    }

    fn message(&mut self) -> Result<(u8, Vec<u8>), QueryError> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if !(4..=MESSAGE_MAX).contains(&length) {
            return Err(QueryError::Broken(format!("a message of {length} bytes")));
        }
        let mut body = vec![0; length - 4];
        self.stream.read_exact(&mut body)?;
        Ok((kind, body))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}

/// A row: how many columns (2 bytes), then each with its length (4 bytes) before it.
fn first_column(body: &[u8]) -> Option<String> {
    let (length, rest) = body.get(2..)?.split_first_chunk::<4>()?;
    let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
    rest.get(..length).map(text)
}

/// Fields of an error: a letter and a text each; `M` is the message.
fn error_text(body: &[u8]) -> String {
    let mut fields = body.split(|byte| *byte == 0);
    let message = fields.find_map(|field| field.strip_prefix(b"M"));
    message.map_or_else(|| "for no given reason".to_owned(), text)
}
