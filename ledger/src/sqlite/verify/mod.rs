//! Checking a whole file from its first row: balances, chain, ids, statuses, and what lags.
//!
//! Nothing is trusted but the rows themselves. Every balance is computed again from the transfers, every commit's hash
//! from its rows; then each index is held against what it indexes. The first row that does not fit is named.

mod books;
mod indexes;

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};
use thiserror::Error;

use super::changes::{Content, chain};
use super::currencies;
use super::entry::{Entry, SELECT_ENTRY, Slot, read_entry, read_id_or_zero, read_timestamp};
use super::error::{OpenError, ReadError};
use super::ids::IndexedTo;
use super::load;
use super::lookup::Lookup;
use super::open::read_indexed;
use super::schema;
use crate::{Account, CommitSeq, Last, Timestamp, TransferId};

use books::Books;
use indexes::Indexes;
pub(super) use indexes::name_digest;

/// What a file holds whose every row fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Commits in the chain.
    pub commits: u64,
    /// Accounts.
    pub accounts: u64,
    /// Transfers.
    pub transfers: u64,
    /// Pending transfers that expired.
    pub expiries: u64,
    /// The hash of the last commit: over everything.
    pub hash: [u8; 32],
}

/// Why a file is not good.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The first row that does not fit.
    #[error("{table}, row {row}: {what}")]
    BadRow {
        /// The table.
        table: &'static str,
        /// Its key.
        row: String,
        /// What is wrong with it.
        what: String,
    },
    /// SQLite finds its own structure damaged.
    #[error("the file's structure is damaged: {0}")]
    Structure(String),
    /// The file could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl From<rusqlite::Error> for VerifyError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Open(error.into())
    }
}

impl From<ReadError> for VerifyError {
    fn from(error: ReadError) -> Self {
        Self::Open(error.into())
    }
}

/// Refuses a row.
fn bad<T>(table: &'static str, row: impl ToString, what: impl Into<String>) -> Result<T, VerifyError> {
    Err(VerifyError::BadRow { table, row: row.to_string(), what: what.into() })
}

/// What a row of `commits` says.
struct CommitRow {
    seq: CommitSeq,
    hash: [u8; 32],
    content: [u8; 32],
    app: Option<[u8; 32]>,
    accounts: u64,
    events: u64,
    burnt: u64,
    last: Last,
    balances_from: Timestamp,
    indexed: IndexedTo,
}

/// Verifies a file, also while another process writes to it: what is seen is one moment. The application's
/// own rows are the application's to check.
///
/// # Errors
/// Names the first row that does not fit.
pub fn verify(path: impl AsRef<Path>) -> Result<Verified, VerifyError> {
    let path = path.as_ref();
    let lookup = Lookup::open_existing(path)?;
    lookup.connection.execute_batch("BEGIN")?;
    schema::check_format(&lookup.connection)?;
    check_structure(&lookup.connection)?;
    schema::check_objects(&lookup.connection)?;
    let verified = Walk::new(&lookup)?.run()?;
    indexes::check_names(&lookup.connection)?;
    currencies::read(&lookup.connection)?;
    Ok(verified)
}

fn check_structure(connection: &Connection) -> Result<(), VerifyError> {
    let mut statement = connection.prepare("PRAGMA integrity_check(1)")?;
    let found: String = statement.query_row([], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(VerifyError::Structure(found.replace('\n', ", "))) }
}

/// The walk over all commits, with its place in each table.
struct Walk<'a> {
    lookup: &'a Lookup,
    books: Books,
    indexes: Indexes<'a>,
    verified: Verified,
    last: Last,
    next_account: usize,
}

impl<'a> Walk<'a> {
    fn new(lookup: &'a Lookup) -> Result<Self, VerifyError> {
        let (balances_from, indexed) = lookup
            .connection
            .query_row(
                "SELECT balances_from, ids_from, ids_max, burnt_from FROM commits ORDER BY seq DESC LIMIT 1",
                [],
                |row| Ok((row.get(0)?, read_indexed(row, 1)?)),
            )
            .optional()?
            .unwrap_or_default();
        Ok(Self {
            lookup,
            books: Books::new(balances_from),
            indexes: Indexes::new(lookup, indexed),
            verified: Verified::default(),
            last: Last::default(),
            next_account: 0,
        })
    }

    fn run(mut self) -> Result<Verified, VerifyError> {
        let connection = &self.lookup.connection;
        let mut commits = connection.prepare(
            "SELECT seq, hash, content, app, accounts, events, burnt, last_account, last_transfer, last_expiry,
                balances_from, ids_from, ids_max, burnt_from FROM commits ORDER BY seq",
        )?;
        // Late events stand with their commit, not with their time.
        let mut events = connection.prepare(&format!(
            "{SELECT_ENTRY}WHERE e.timestamp NOT IN (SELECT timestamp FROM late_events) ORDER BY e.timestamp"
        ))?;
        let mut accounts = connection.prepare(&format!("{}ORDER BY a.n", load::SELECT_HELD))?;
        let mut burnt = connection.prepare("SELECT n, id FROM burnt ORDER BY n")?;
        let mut feed = Feed {
            accounts: accounts.query([])?,
            events: events.query([])?,
            burnt: burnt.query([])?,
            burnt_count: 0,
        };
        let mut rows = commits.query([])?;
        let mut newest = None;
        while let Some(row) = rows.next()? {
            let commit = read_commit(row, self.verified.commits)?;
            self.commit(&commit, &mut feed)?;
            newest = Some(commit);
        }
        feed.expect_end()?;
        if let Some(commit) = newest {
            self.check_watermarks(&commit)?;
        }
        self.books.finish(self.lookup)?;
        self.indexes.finish(&self.books)?;
        Ok(self.verified)
    }

    fn commit(&mut self, commit: &CommitRow, feed: &mut Feed<'_>) -> Result<(), VerifyError> {
        let mut content = Content::default();
        for _ in 0..commit.accounts {
            let account = feed.next_account(self.next_account, commit.seq)?;
            content.account(&account);
            self.next_account += 1;
            self.account(&account)?;
        }
        let late = late_events(&self.lookup.connection, commit.seq)?;
        for place in 0..commit.events {
            let entry = match late.iter().find(|(late, _)| *late == place) {
                Some((_, at)) => self.late_event(*at, commit.seq)?,
                None => feed.next_event(commit.seq)?,
            };
            content.event(&entry);
            self.event(&entry)?;
        }
        if late.iter().any(|(place, _)| *place >= commit.events) {
            return bad("late_events", commit.seq, "a place outside the commit");
        }
        for _ in 0..commit.burnt {
            let id = feed.next_burnt(commit.seq)?;
            content.burnt(id);
            self.indexes.burnt(id)?;
        }
        self.link(commit, content.finish())
    }

    /// The chain: content, hash, and what the commit says of its last rows.
    fn link(&mut self, commit: &CommitRow, content: [u8; 32]) -> Result<(), VerifyError> {
        let seq = commit.seq;
        if content != commit.content {
            return bad("commits", seq, "its rows are not the ones that were committed");
        }
        if chain(&self.verified.hash, seq, &content, commit.app.as_ref()) != commit.hash {
            return bad("commits", seq, "its hash does not follow from the one before");
        }
        if commit.last != self.last {
            return bad("commits", seq, "its last timestamps are not those of its rows");
        }
        self.verified.hash = commit.hash;
        self.verified.commits = seq.0;
        Ok(())
    }

    fn account(&mut self, account: &Account) -> Result<(), VerifyError> {
        if account.timestamp <= self.last.account {
            return bad("accounts", account.id, "its timestamp is not above the one before");
        }
        self.last.account = account.timestamp;
        self.verified.accounts += 1;
        self.books.open(account);
        Ok(())
    }

    fn event(&mut self, entry: &Entry) -> Result<(), VerifyError> {
        self.books.apply(entry)?;
        self.indexes.event(entry)?;
        let last = if entry.transfer.id == TransferId::ZERO {
            self.verified.expiries += 1;
            &mut self.last.expiry
        } else {
            self.verified.transfers += 1;
            &mut self.last.transfer
        };
        if entry.timestamp() <= *last {
            return bad("events", entry.timestamp(), "its timestamp is not above the one before");
        }
        *last = entry.timestamp();
        Ok(())
    }

    fn late_event(&self, at: Timestamp, seq: CommitSeq) -> Result<Entry, VerifyError> {
        match self.lookup.entry(at)? {
            Some(entry) => Ok(entry),
            None => bad("late_events", at, format!("commit {seq}: there is no such event")),
        }
    }

    /// Watermarks above all rows would hide what lags behind them.
    fn check_watermarks(&self, newest: &CommitRow) -> Result<(), VerifyError> {
        if newest.balances_from > self.last.transfer.max(self.last.expiry) {
            return bad("commits", newest.seq, "balances_from is above all events");
        }
        if !self.indexes.reach(newest.indexed) {
            return bad("commits", newest.seq, "ids_from, ids_max and burnt_from do not fit together");
        }
        Ok(())
    }
}

/// Rows in order, from each table as many as each commit says.
struct Feed<'a> {
    accounts: rusqlite::Rows<'a>,
    events: rusqlite::Rows<'a>,
    burnt: rusqlite::Rows<'a>,
    burnt_count: i64,
}

impl Feed<'_> {
    fn next_account(&mut self, place: usize, seq: CommitSeq) -> Result<Account, VerifyError> {
        let number = Slot::at(place).number();
        let Some(row) = self.accounts.next()? else {
            return bad("accounts", number, format!("missing; commit {seq} holds it"));
        };
        if row.get::<_, i64>(0)? != number {
            return bad("accounts", number, "missing");
        }
        match load::read_created(row) {
            Ok(account) => Ok(account),
            Err(error) => bad("accounts", number, error.to_string()),
        }
    }

    fn next_event(&mut self, seq: CommitSeq) -> Result<Entry, VerifyError> {
        let Some(row) = self.events.next()? else {
            return bad("events", "after the last", format!("missing; commit {seq} holds more"));
        };
        let at = read_timestamp(row, 0)?;
        match read_entry(row) {
            Ok(entry) => Ok(entry),
            Err(error) => bad("events", at, error.to_string()),
        }
    }

    fn next_burnt(&mut self, seq: CommitSeq) -> Result<TransferId, VerifyError> {
        self.burnt_count += 1;
        let number = self.burnt_count;
        match self.burnt.next()? {
            Some(row) if row.get::<_, i64>(0)? == number => match read_id_or_zero(row, 1) {
                Ok(id) => Ok(TransferId(id)),
                Err(error) => bad("burnt", number, error.to_string()),
            },
            _ => bad("burnt", number, format!("missing; commit {seq} holds it")),
        }
    }

    fn expect_end(&mut self) -> Result<(), VerifyError> {
        for (table, rows) in
            [("accounts", &mut self.accounts), ("events", &mut self.events), ("burnt", &mut self.burnt)]
        {
            if let Some(row) = rows.next()? {
                return bad(table, row.get::<_, i64>(0)?, "no commit holds it");
            }
        }
        Ok(())
    }
}

fn read_commit(row: &rusqlite::Row<'_>, before: u64) -> Result<CommitRow, VerifyError> {
    let read = || {
        Ok(CommitRow {
            seq: row.get(0)?,
            hash: row.get(1)?,
            content: row.get(2)?,
            app: row.get(3)?,
            accounts: row.get::<_, u32>(4)?.into(),
            events: row.get::<_, u32>(5)?.into(),
            burnt: row.get::<_, u32>(6)?.into(),
            last: Last { account: row.get(7)?, transfer: row.get(8)?, expiry: row.get(9)? },
            balances_from: row.get(10)?,
            indexed: read_indexed(row, 11)?,
        })
    };
    let commit: CommitRow = match read() {
        Ok(commit) => commit,
        Err::<_, rusqlite::Error>(error) => return bad("commits", before + 1, error.to_string()),
    };
    if commit.seq.0 != before + 1 {
        return bad("commits", before + 1, "missing");
    }
    Ok(commit)
}

/// The commit's late events: their places and times.
fn late_events(connection: &Connection, seq: CommitSeq) -> Result<Vec<(u64, Timestamp)>, VerifyError> {
    let mut statement =
        connection.prepare_cached("SELECT place, timestamp FROM late_events WHERE seq = ?")?;
    let rows = statement.query_map([seq], |row| Ok((row.get::<_, u32>(0)?.into(), row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
