//! Every step of the disk fails once, fails for good, or is the last before the power goes: after reopening, what was
//! acknowledged is there, once, and the books balance.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "faults/disk.rs"]
mod disk;

use std::path::Path;
use std::sync::Mutex;

use disk::{Fault, FaultyDisk, Left, world};
use hundi_ledger::sqlite::{self, AppSchema, Commit, Disk, Options, State};
use hundi_ledger::{Account, Timestamp, Transfer, engine};

const APP: AppSchema = AppSchema {
    name: "shop",
    version: 1,
    create: "CREATE TABLE shop_orders(id INTEGER PRIMARY KEY) STRICT;",
    migrations: &[],
    payment: "",
};

/// Rounds of the workload; round `i` makes commit `i`.
const ROUNDS: u64 = 14;

/// One at a time: there is one disk.
static ONE: Mutex<()> = Mutex::new(());

fn open(path: &Path) -> Result<(State, Disk), sqlite::OpenError> {
    let options = Options { app: Some(APP), recent_events: 4, lag_events: 3, ..Options::default() };
    sqlite::open(path, options)
}

/// The batch of a round: single transfers, holds, posts, refusals that burn ids, ids that rise and ids that do not.
fn batch(round: u64) -> Vec<Transfer> {
    let id = |place: u64| {
        u128::from(if place.is_multiple_of(3) { 9_000 - round * 10 - place } else { round * 10_000 + place })
    };
    (0..6_u64)
        .map(|place| {
            let (debit, credit) = (u128::from(place % 4 + 1), u128::from((place + round) % 3 + 5));
            match place {
                1 => Transfer::new(id(place), debit, credit, 10, 1, 1)
                    .pending(u32::from(round.is_multiple_of(2))),
                2 if round > 3 => Transfer::post(id(place), u128::from((round - 1) * 10_000 + 1)),
                5 => Transfer::new(id(place), debit, 99, 1, 1, 1), // No such account: the id is burnt.
                _ => Transfer::new(id(place), debit, credit, u128::from(round + place), 1, 1),
            }
        })
        .collect()
}

fn run_round(state: &mut State, disk: &mut Disk, round: u64) -> Result<Commit, Box<dyn std::error::Error>> {
    let time = Timestamp(round * 700_000_000);
    if round == 1 {
        let accounts: Vec<Account> = (1..=8).map(|id| Account::new(id, 1, 1)).collect();
        engine::create_accounts(state, time, &accounts)?;
    } else if round.is_multiple_of(5) {
        // The application's rows and its transfers, in one transaction.
        let clock = move || time;
        let done = disk.transaction(state, &clock, |tx| -> Result<(), sqlite::StepError> {
            tx.create_transfers(&batch(round))?;
            tx.sql().execute("INSERT INTO shop_orders VALUES (?)", [round.cast_signed()])?;
            Ok(())
        });
        let ((), commit) = done?;
        state.handle_durable(commit.seq);
        return Ok(commit);
    } else {
        engine::expire(state, Timestamp(time.0 - 100))?;
        engine::create_transfers(state, time, &batch(round))?;
    }
    let commit = disk.commit(state.take_changes(), |_| Ok(round.to_le_bytes().to_vec()))?;
    state.handle_durable(commit.seq);
    if round.is_multiple_of(4) {
        disk.flush(&state.take_flush())?;
        disk.checkpoint()?;
    }
    Ok(commit)
}

/// Runs from the file's next round on until the end or the first failure; gives what was acknowledged.
fn run(path: &Path, acknowledged: &mut Vec<Commit>) -> Result<(), Box<dyn std::error::Error>> {
    let (mut state, mut disk) = open(path)?;
    let retries = world(|world| world.retries); // A creation that fails is rolled back by SQLite, with syncs.
    for round in disk.last_commit().seq.0 + 1..=ROUNDS {
        match run_round(&mut state, &mut disk, round) {
            Ok(commit) => acknowledged.push(commit),
            Err(error) => {
                check_end(state, disk, error.as_ref(), retries);
                return Err(error);
            }
        }
    }
    Ok(())
}

/// After a failed commit nothing more is tried on the disk. (A failed read leaves the disk as it was.)
fn check_end(state: State, mut disk: Disk, error: &(dyn std::error::Error + 'static), retries: u64) {
    use sqlite::{CommitError, StepError, TransactionError};
    let in_transaction = error.downcast_ref::<TransactionError<StepError>>();
    let is_commit = error.is::<CommitError>() || matches!(in_transaction, Some(TransactionError::Commit(_)));
    let syncs = world(|world| world.syncs);
    if is_commit {
        assert!(disk.checkpoint().is_err(), "after {error} the disk takes nothing more");
    }
    drop((state, disk));
    if is_commit {
        assert_eq!(syncs, world(|world| world.syncs), "after {error} nothing is synced");
    }
    assert_eq!(retries, world(|world| world.retries), "{error}: a failed sync is not tried again");
}

/// The file must hold what was acknowledged, at most the one commit that was under way beyond it, and be able to go on
/// to the very end that an undisturbed run reaches.
fn check_after(path: &Path, golden: &[Commit], acknowledged: &[Commit], story: &str) {
    let (state, disk) = open(path).unwrap_or_else(|error| panic!("{story}: {error}"));
    let last = disk.last_commit();
    let said = acknowledged.len() as u64;
    assert!(
        (said..=said + 1).contains(&last.seq.0),
        "{story}: {said} were acknowledged, {} are there",
        last.seq
    );
    if last.seq.0 > 0 {
        assert_eq!(last, golden[last.seq.0 as usize - 1], "{story}: another history");
    }
    assert_eq!(state.taken(), last.seq);
    drop((state, disk));
    let verified = sqlite::verify(path).unwrap_or_else(|error| panic!("{story}: {error}"));
    assert_eq!(verified.hash, last.hash, "{story}");

    let mut rest = Vec::new();
    run(path, &mut rest).unwrap_or_else(|error| panic!("{story}: going on: {error}"));
    let end = rest.last().copied().unwrap_or(last);
    assert_eq!(Some(&end), golden.last(), "{story}: another end");
    sqlite::verify(path).unwrap_or_else(|error| panic!("{story}: at the end: {error}"));
}

struct Fixture {
    directory: tempfile::TempDir,
    golden: Vec<Commit>,
    steps: u64,
}

impl Fixture {
    fn new() -> Self {
        static REGISTERED: std::sync::Once = std::sync::Once::new();
        REGISTERED.call_once(|| sqlite_vfs::register("faulty", FaultyDisk, true).unwrap());
        let directory = tempfile::tempdir().unwrap();
        let mut golden = Vec::new();
        world(|world| world.reset(Fault::Never));
        let path = directory.path().join("golden.db");
        run(&path, &mut golden).unwrap();
        let steps = world(|world| world.steps);
        assert_eq!(golden.len() as u64, ROUNDS);
        sqlite::verify(&path).unwrap();
        Self { directory, golden, steps }
    }

    /// Every step, or every so many: `HUNDI_FAULTS=all` takes them all.
    fn steps(&self, of: u64) -> impl Iterator<Item = u64> + use<> {
        let stride = if std::env::var("HUNDI_FAULTS").is_ok() { 1 } else { (self.steps / of).max(1) };
        (1..=self.steps).step_by(usize::try_from(stride).unwrap())
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("ledger.db")
    }
}

#[test]
fn the_power_goes_at_any_step() {
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let fixture = Fixture::new();
    println!("{} steps", fixture.steps);
    let path = fixture.path();
    let mut unfinished = 0;
    for step in fixture.steps(400) {
        for left in [Left::Nothing, Left::Everything, Left::Some(step), Left::Some(step ^ 0xffff)] {
            let story = format!("crash at step {step}, left: {left:?}");
            world(|world| world.reset(Fault::Crash(step)));
            let mut acknowledged = Vec::new();
            unfinished += u64::from(run(&path, &mut acknowledged).is_err());
            world(|world| world.reboot(left));
            check_after(&path, &fixture.golden, &acknowledged, &story);
        }
    }
    assert!(unfinished > 0, "crashes interrupt the workload");
}

#[test]
fn any_step_fails() {
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let fixture = Fixture::new();
    let path = fixture.path();
    for step in fixture.steps(500) {
        for fault in [Fault::Once(step), Fault::From(step)] {
            let story = format!("{fault:?}");
            world(|world| world.reset(fault));
            let mut acknowledged = Vec::new();
            let ran = run(&path, &mut acknowledged);
            assert!(ran.is_err() || fault == Fault::Once(step), "{story}: a broken disk is noticed");
            world(|world| {
                world.repair(Fault::Never);
                world.rewrite_log(path.to_str().unwrap());
            });
            check_after(&path, &fixture.golden, &acknowledged, &story);
        }
    }
}

/// After a failed sync the commit can be seen, but is not on disk. Once a reopened ledger has shown it, it must not be
/// lost by any crash.
#[test]
fn what_a_reopened_ledger_shows_is_durable() {
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let fixture = Fixture::new();
    let path = fixture.path();
    let mut shown_beyond = 0;
    for step in fixture.steps(500) {
        let story = format!("step {step} fails, then the power goes");
        world(|world| world.reset(Fault::Once(step)));
        let mut acknowledged = Vec::new();
        if run(&path, &mut acknowledged).is_ok() {
            continue;
        }
        world(|world| {
            world.repair(Fault::Never);
            world.rewrite_log(path.to_str().unwrap());
        });
        let (state, disk) = open(&path).unwrap_or_else(|error| panic!("{story}: {error}"));
        let shown = disk.last_commit();
        shown_beyond += u64::from(shown.seq.0 > acknowledged.len() as u64);
        world(|world| world.repair(Fault::From(1))); // So that closing writes nothing.
        drop((state, disk));
        world(|world| world.reboot(Left::Nothing));
        let mut seen = acknowledged.clone();
        seen.truncate(shown.seq.0 as usize);
        if shown.seq.0 > seen.len() as u64 {
            seen.push(shown);
        }
        check_after(&path, &fixture.golden, &seen, &story);
    }
    assert!(shown_beyond > 0, "some commits are seen though their sync failed");
}
