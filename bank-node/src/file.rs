//! Reading a bank's file from outside, without changing it: for audits.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use hundi_ledger::sqlite;
use hundi_ledger::{AccountId, Amount, EventKind, TransferId};
use hundi_protocol::{
    AccountName, BankName, Currency, Decision, Digest, Order, Outcome, Signed, UnixMillis, Vote,
};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};
use tempfile::TempDir;

use crate::record::{AccountRecord, BankRecord, CustomerRecord, EntryRecord, PaymentRecord};
use crate::{BANK_SCHEMA, first_bad_bank_row};

/// The bank's file within its folder.
pub const BANK_FILE: &str = "bank.db";

/// Why a bank's file cannot be audited; one line that says what and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// There is none.
    #[error("{0} does not exist")]
    Missing(PathBuf),
    /// The bank is running: what is in its file may still be on its way to the others'.
    #[error("{0} is in use by a running bank; stop it first, or audit a copy")]
    InUse(PathBuf),
    /// The operating system.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        error: std::io::Error,
    },
    /// It cannot be copied to where it is read.
    #[error(
        "{path}: cannot copy it to {temp} to read it there: {error}; name a folder with room for it as TMPDIR"
    )]
    Copy {
        /// The file.
        path: PathBuf,
        /// The folder for temporary files.
        temp: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// SQLite cannot read it.
    #[error("{path}: cannot be read as a bank's file: {error}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        error: rusqlite::Error,
    },
    /// Its log was lost while the bank ran, and with it what had been said: see [`sqlite::OpenError`].
    #[error("{0}")]
    Incomplete(sqlite::OpenError),
    /// Written by an older version of this program, and not to be brought up to date.
    #[error(
        "{path}: an older version of this program wrote it, and its copy cannot be brought up to date: {what}"
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Why not.
        what: String,
    },
    /// A row that no bank wrote so.
    #[error("{path}: damaged row in {table}: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The table or view.
        table: &'static str,
        /// What is wrong with it.
        what: String,
    },
}

/// Reads everything that an audit needs, of a copy: beside the file nothing appears and nothing changes, and it may be on a
/// volume that cannot be written. The copy is made in the system's folder for temporary files, and removed.
///
/// # Errors
/// [`FileError`].
pub fn read_bank_file(path: &Path, bank: &BankName) -> Result<BankRecord, FileError> {
    if !path.is_file() {
        return Err(FileError::Missing(path.to_owned()));
    }
    let copy = Copy::of(path)?;
    let open = || -> Result<FileReader<'_>, FileError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let cannot = |error| FileError::Sqlite { path: path.to_owned(), error };
        let connection = Connection::open_with_flags(&copy.file, flags).map_err(cannot)?;
        // One snapshot for all that follows.
        connection.execute_batch("PRAGMA cell_size_check = ON; BEGIN").map_err(cannot)?;
        sqlite::check_complete(path, &connection).map_err(FileError::Incomplete)?;
        Ok(FileReader { path, copy: &copy, connection })
    };
    let mut reader = open()?;
    let version: u32 = reader.one("SELECT coalesce(max(value), 0) FROM meta WHERE key = 'app_version'")?;
    if (1..BANK_SCHEMA.version).contains(&version) {
        drop(reader);
        copy.bring_up_to_date(path)?;
        reader = open()?;
    }
    let floor: i64 = reader.one("SELECT coalesce(max(expires_at), 0) FROM refusal_floors")?;
    let commits: i64 = reader.one("SELECT coalesce(max(seq), 0) FROM commits")?;
    Ok(BankRecord {
        bank: bank.clone(),
        commits: reader.unsigned("commits", commits)?,
        damage: reader.damage()?,
        customers: reader.all("customers", "SELECT name, account, currency FROM customers", customer)?,
        accounts: reader.all("v_accounts", ACCOUNTS, account)?,
        entries: reader.all("v_transfers", ENTRIES, entry)?,
        payments: reader.all("payments", PAYMENTS, payment)?,
        double_votes: reader.all("double_votes", "SELECT yes, no FROM double_votes", double_vote)?,
        floor: UnixMillis(reader.unsigned("refusal_floors", floor)?),
    })
}

const ACCOUNTS: &str =
    "SELECT id, debits_pending, debits_posted, credits_pending, credits_posted FROM v_accounts";
const ENTRIES: &str = "SELECT id, debit_account_id, credit_account_id, amount, kind, payment FROM v_transfers \
    WHERE payment IS NOT NULL";
const PAYMENTS: &str = "SELECT p.digest, p.vote, \
    CASE WHEN late.seq IS NULL THEN coalesce(o.outcome, p.outcome) ELSE 1 END, \
    coalesce(late.evidence, o.evidence, p.evidence), p.jws FROM payments p LEFT JOIN outcomes o USING (n) \
    LEFT JOIN late_commits late USING (order_id, digest)";

/// A copy of a bank's file and its log, which holds what a bank that was killed had not yet folded in.
struct Copy {
    folder: TempDir,
    file: PathBuf,
}

impl Copy {
    fn of(path: &Path) -> Result<Self, FileError> {
        let temp = std::env::temp_dir();
        let failed = |error| FileError::Copy { path: path.to_owned(), temp: temp.clone(), error };
        // SQLite keeps the log beside the file itself, where this name is a link; and there is the lock.
        let real = path.canonicalize().map_err(failed)?;
        let _not_running = hold_off_banks(&real, path)?;
        let folder = tempfile::Builder::new().prefix("hundi-audit-").tempdir().map_err(failed)?;
        let file = folder.path().join(BANK_FILE);
        std::fs::copy(path, &file).map_err(failed)?;
        let log = beside(&real, "-wal");
        if log.metadata().is_ok_and(|log| log.len() > 0) {
            std::fs::copy(&log, beside(&file, "-wal")).map_err(failed)?;
        }
        Ok(Copy { folder, file })
    }

    /// Opens the copy of an older file as its bank would, which changes its tables, and nothing that is in the chain.
    fn bring_up_to_date(&self, path: &Path) -> Result<(), FileError> {
        let options = sqlite::Options { app: Some(BANK_SCHEMA), create: false, ..sqlite::Options::default() };
        let opened = sqlite::open(&self.file, options);
        opened.map(drop).map_err(|error| FileError::Older {
            path: path.to_owned(),
            what: self.translate(&error.to_string(), path),
        })
    }

    /// Words of the ledger's about the copy, as if they were about the file.
    fn translate(&self, text: &str, path: &Path) -> String {
        let place = path.parent().unwrap_or(Path::new("."));
        text.replace(&self.folder.path().display().to_string(), &place.display().to_string())
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(ending);
    name.into()
}

/// A running bank holds a lock on its folder, and one on the file beside its own. Until the result is dropped none starts.
fn hold_off_banks(real: &Path, path: &Path) -> Result<Vec<File>, FileError> {
    let folder = match real.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut held = Vec::new();
    for lock_path in [folder, beside(real, ".lock")] {
        let lock = match File::open(&lock_path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(FileError::Io { path: lock_path, error }),
        };
        match lock.try_lock_shared() {
            Ok(()) => held.push(lock),
            Err(TryLockError::WouldBlock) => return Err(FileError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(FileError::Io { path: lock_path, error }),
        }
    }
    Ok(held)
}

struct FileReader<'a> {
    path: &'a Path,
    copy: &'a Copy,
    connection: Connection,
}

/// What is wrong with a row.
enum BadRow {
    Sqlite(rusqlite::Error),
    Damaged(String),
}

impl From<rusqlite::Error> for BadRow {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn bad(what: impl std::fmt::Display) -> BadRow {
    BadRow::Damaged(what.to_string())
}

impl FileReader<'_> {
    fn sqlite(&self, error: rusqlite::Error) -> FileError {
        FileError::Sqlite { path: self.path.to_owned(), error }
    }

    fn one<T: rusqlite::types::FromSql>(&self, sql: &str) -> Result<T, FileError> {
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(|error| self.sqlite(error))
    }

    fn unsigned(&self, table: &'static str, number: i64) -> Result<u64, FileError> {
        let what = || format!("{number} is below zero");
        u64::try_from(number).map_err(|_| FileError::Damaged {
            path: self.path.to_owned(),
            table,
            what: what(),
        })
    }

    fn all<T>(
        &self,
        table: &'static str,
        sql: &str,
        read: impl Fn(&Row<'_>) -> Result<T, BadRow>,
    ) -> Result<Vec<T>, FileError> {
        let mut select = self.connection.prepare(sql).map_err(|error| self.sqlite(error))?;
        let mut rows = select.query([]).map_err(|error| self.sqlite(error))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(|error| self.sqlite(error))? {
            all.push(read(row).map_err(|error| match error {
                BadRow::Sqlite(error) => self.sqlite(error),
                BadRow::Damaged(what) => FileError::Damaged { path: self.path.to_owned(), table, what },
            })?);
        }
        Ok(all)
    }

    /// What is wrong with the file as a whole, in a line: a page that SQLite cannot use, a balance or a link of the
    /// chain that does not recompute, a row of the bank that is not the one that was committed.
    fn damage(&self) -> Result<Option<String>, FileError> {
        if let Err(error) = sqlite::verify(&self.copy.file) {
            return Ok(Some(self.copy.translate(&error.to_string(), self.path).replace('\n', " ")));
        }
        first_bad_bank_row(&self.connection).map_err(|error| self.sqlite(error))
    }
}

fn customer(row: &Row<'_>) -> Result<CustomerRecord, BadRow> {
    let (name, account, currency): (String, [u8; 16], String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    Ok(CustomerRecord {
        name: AccountName::new(&name).map_err(bad)?,
        account: AccountId(u128::from_be_bytes(account)),
        currency: currency.parse::<Currency>().map_err(bad)?,
    })
}

fn account(row: &Row<'_>) -> Result<AccountRecord, BadRow> {
    Ok(AccountRecord {
        id: AccountId(id(row, 0)?),
        debits_pending: amount(row, 1)?,
        debits_posted: amount(row, 2)?,
        credits_pending: amount(row, 3)?,
        credits_posted: amount(row, 4)?,
    })
}

fn entry(row: &Row<'_>) -> Result<EntryRecord, BadRow> {
    let (kind, payment): (String, String) = (row.get(4)?, row.get(5)?);
    let kinds = [
        EventKind::SinglePhase,
        EventKind::Pending,
        EventKind::Posted,
        EventKind::Voided,
        EventKind::Expired,
    ];
    Ok(EntryRecord {
        id: TransferId(id(row, 0)?),
        debit: AccountId(id(row, 1)?),
        credit: AccountId(id(row, 2)?),
        amount: amount(row, 3)?,
        kind: kinds.into_iter().find(|known| known.as_str() == kind).ok_or_else(|| bad("unknown kind"))?,
        payment: payment.parse::<Digest>().map_err(bad)?,
    })
}

fn payment(row: &Row<'_>) -> Result<PaymentRecord, BadRow> {
    let (digest, vote, outcome): ([u8; 32], u8, Option<i64>) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let (evidence, jws): (Option<Vec<u8>>, Vec<u8>) = (row.get(3)?, row.get(4)?);
    let order = Order::parse(&jws).map_err(bad)?;
    if order.digest() != Digest(digest) {
        return Err(bad(format_args!("the order kept under digest {} has another", Digest(digest))));
    }
    Ok(PaymentRecord {
        order,
        decision: Decision::from_code(vote).ok_or_else(|| bad(format_args!("unknown vote {vote}")))?,
        settled: match outcome {
            None => None,
            Some(0) => Some(Outcome::Abort),
            Some(1) => Some(Outcome::Commit),
            Some(other) => return Err(bad(format_args!("unknown outcome {other}"))),
        },
        evidence: evidence.as_deref().map(votes).transpose()?.unwrap_or_default(),
    })
}

fn double_vote(row: &Row<'_>) -> Result<(Signed<Vote>, Signed<Vote>), BadRow> {
    let one = |column: usize| -> Result<Signed<Vote>, BadRow> {
        let bytes: Vec<u8> = row.get(column)?;
        match &votes(&bytes)?[..] {
            [vote] => Ok(vote.clone()),
            other => Err(bad(format_args!("{} votes instead of one", other.len()))),
        }
    };
    Ok((one(0)?, one(1)?))
}

fn votes(bytes: &[u8]) -> Result<Vec<Signed<Vote>>, BadRow> {
    postcard::from_bytes(bytes).map_err(|error| bad(format_args!("signed votes: {error}")))
}

/// An id as the views show it: 32 hex digits.
fn id(row: &Row<'_>, column: usize) -> Result<u128, BadRow> {
    let text: String = row.get(column)?;
    let id = (text.len() == 32).then(|| u128::from_str_radix(&text, 16).ok()).flatten();
    id.ok_or_else(|| bad(format_args!("{text:?} is not an id")))
}

/// An amount as the views show it: an integer while it fits 63 bits, else decimal text.
fn amount(row: &Row<'_>, column: usize) -> Result<Amount, BadRow> {
    let amount = match row.get_ref(column)? {
        ValueRef::Integer(small) => u128::try_from(small).ok(),
        ValueRef::Text(text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
        _ => None,
    };
    amount.map(Amount).ok_or_else(|| bad("not an amount"))
}
