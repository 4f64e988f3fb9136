//! What must hold after a run: nothing is missing in the file, and the sums are those of the workload.

use std::path::Path;
use std::time::{Duration, Instant};

use hundi_ledger::sqlite::{self, Options};
use hundi_ledger::{AccountId, Store as _};
use rusqlite::{Connection, OpenFlags};

use super::workload::{Expected, Shape};
use crate::failure::{Exit, Failure, While as _};

/// What was seen on the way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reopened {
    /// How long it took until the file could take transfers again.
    pub(super) reopening: Duration,
    /// The file and its log.
    pub(super) bytes: u64,
}

/// Opens the file again and holds it against what was done.
pub(super) fn check(path: &Path, shape: &Shape, expected: Expected) -> Result<Reopened, Failure> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let bytes = size(path) + size(Path::new(&log));
    let begun = Instant::now();
    let (mut state, disk) =
        sqlite::open(path, Options::default()).or_fail(|| format!("{}", path.display()))?;
    let reopening = begun.elapsed();
    let mut sums = [0u128; 4];
    for id in 1..=shape.accounts {
        let slot =
            state.find_account(AccountId(u128::from(id))).or_fail(|| "reading the books".to_owned())?;
        let Some(slot) = slot else { return Err(wrong(&format!("account {id} is missing"))) };
        let account = state.account(slot);
        let four =
            [account.debits_posted, account.credits_posted, account.debits_pending, account.credits_pending];
        sums.iter_mut().zip(four).for_each(|(sum, amount)| *sum += amount.0);
    }
    drop((state, disk));
    let Expected { transfers, posted, pending } = expected;
    let should = [posted, posted, pending, pending];
    if sums != should {
        return Err(wrong(&format!("the sums of all accounts are {sums:?} and must be {should:?}")));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let count: i64 = Connection::open_with_flags(path, flags)
        .and_then(|file| file.query_row("SELECT count(*) FROM events", [], |row| row.get(0)))
        .or_fail(|| "counting the transfers".to_owned())?;
    if u64::try_from(count) != Ok(transfers) {
        return Err(wrong(&format!("the file has {count} transfers and must have {transfers}")));
    }
    Ok(Reopened { reopening, bytes })
}

fn wrong(what: &str) -> Failure {
    Failure::new(Exit::No, format_args!("the benchmark's books do not balance: {what}"))
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}
