//! Every step of the disk fails once, fails for good, or is the last before the power goes: after reopening, what was
//! acknowledged is there, once, and the books balance.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "faults/disk.rs"]
mod disk;

use std::path::Path;
use std::sync::Mutex;

use disk::{Fault, FaultyDisk, Left, world};
use hundi_ledger::sqlite::{
    self, AppSchema, Commit, CommitError, Disk, Options, State, StepError, TransactionError,
};
use hundi_ledger::{Account, CommitSeq, Timestamp, Transfer, engine};

const APP: AppSchema = AppSchema {
    name: "shop",
    version: 1,
    create: "CREATE TABLE shop_orders(id INTEGER PRIMARY KEY) STRICT;",
    migrations: &[],
    payment: "",
};

/// Rounds of the workload; round `i` makes commit `i`.
const ROUNDS: u64 = 14;

/// These only write it, and each leaves the sync to something else: to a flush or the copying of the log in the same round, to
/// what the next round begins with (a sync, another write, a commit, a transaction), or to the closing.
const WRITTEN: [u64; 10] = [2, 3, 4, 6, 7, 9, 11, 12, 13, ROUNDS];
/// After these the next batch is executed and only then the commit is synced, as it may be in a bank.
const SYNCED: [u64; 4] = [2, 3, 11, 13];
/// After these the balances are brought up to date.
const FLUSHED: [u64; 2] = [4, 8];
/// After these the log is copied into the file: what comes next begins it again, with a sync by SQLite or without.
const COPIED: [u64; 3] = [4, 8, 12];

/// One at a time: there is one disk.
static ONE: Mutex<()> = Mutex::new(());

fn open(path: &Path) -> Result<(State, Disk), sqlite::OpenError> {
    let sync_log = Some((|log| world(|world| world.sync_log(log))) as fn(&Path) -> _);
    let options = Options { app: Some(APP), recent_events: 4, lag_events: 3, sync_log, ..Options::default() };
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

fn run_round(state: &mut State, disk: &mut Disk, round: u64) -> Result<(), Box<dyn std::error::Error>> {
    let time = Timestamp(round * 700_000_000);
    if round.is_multiple_of(5) {
        // The application's rows and its transfers, in one transaction.
        let clock = move || time;
        let done = disk.transaction(state, &clock, |tx| -> Result<(), StepError> {
            tx.create_transfers(&batch(round))?;
            tx.sql().execute("INSERT INTO shop_orders VALUES (?)", [round.cast_signed()])?;
            Ok(())
        });
        assert_eq!(done?.1, disk.last_commit());
    } else {
        if round == 1 {
            let accounts: Vec<Account> = (1..=8).map(|id| Account::new(id, 1, 1)).collect();
            engine::create_accounts(state, time, &accounts)?;
        } else {
            engine::expire(state, Timestamp(time.0 - 100))?;
            engine::create_transfers(state, time, &batch(round))?;
        }
        if SYNCED.contains(&(round - 1)) {
            let commit = disk.sync()?;
            assert_eq!((round - 1, commit), (commit.seq.0, disk.last_commit()));
            state.handle_durable(commit.seq);
        }
        let app = |_: &_| Ok(round.to_le_bytes().to_vec());
        match WRITTEN.contains(&round) {
            true => disk.write(state.take_changes(), app)?,
            false => assert_eq!(disk.commit(state.take_changes(), app)?, disk.last_commit()),
        }
    }
    if FLUSHED.contains(&round) {
        disk.flush(&state.take_flush())?;
    }
    if COPIED.contains(&round) {
        disk.checkpoint()?;
    }
    state.handle_durable(disk.last_commit().seq);
    Ok(())
}

/// Runs from the file's next round on until the end or the first failure, and closes the file. Gives what was acknowledged (what
/// the disk says is on it, after a failure too), and at the end how many steps came before the closing.
fn run(path: &Path, acknowledged: &mut CommitSeq) -> Result<u64, Box<dyn std::error::Error>> {
    let (mut state, mut disk) = open(path)?;
    let retries = world(|world| world.retries); // A creation that fails is rolled back by SQLite, with syncs.
    for round in disk.last_commit().seq.0 + 1..=ROUNDS {
        let ran = run_round(&mut state, &mut disk, round);
        *acknowledged = disk.last_commit().seq;
        if let Err(error) = ran {
            check_end(state, disk, error.as_ref(), retries);
            return Err(error);
        }
    }
    let steps = world(|world| world.steps);
    drop((state, disk)); // In this order: the disk is the last to close the file, and copies the log.
    Ok(steps)
}

/// Why a commit failed, if that is what failed.
fn commit_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a CommitError> {
    match error.downcast_ref() {
        Some(TransactionError::<StepError>::Commit(error)) => Some(error),
        _ => error.downcast_ref(),
    }
}

/// After a failed commit nothing more is tried on the disk, nor acknowledged. (A failed read leaves the disk as it was.)
fn check_end(mut state: State, mut disk: Disk, error: &(dyn std::error::Error + 'static), retries: u64) {
    let is_commit = commit_error(error).is_some();
    let (steps, last) = (world(|world| world.steps), disk.last_commit());
    if is_commit {
        let next = [
            disk.sync().map(drop),
            disk.checkpoint().map(drop),
            disk.write(state.take_changes(), |_| Ok(Vec::new())),
            disk.commit(state.take_changes(), |_| Ok(Vec::new())).map(drop),
            disk.flush(&state.take_flush()),
        ];
        let refused = next.iter().all(|tried| matches!(tried, Err(CommitError::Poisoned)));
        assert!(refused, "after {error} the disk takes nothing more: {next:?}");
        assert_eq!(disk.last_commit(), last, "after {error} nothing is acknowledged");
        assert_eq!(steps, world(|world| world.steps), "after {error} nothing is tried");
    }
    let syncs = world(|world| world.syncs);
    drop((state, disk));
    if is_commit {
        assert_eq!(syncs, world(|world| world.syncs), "after {error} nothing is synced");
    }
    assert_eq!(retries, world(|world| world.retries), "{error}: a failed sync is not tried again");
}

/// The file must hold what was acknowledged, at most the one commit that was under way beyond it, and be able to go on
/// to the very end that an undisturbed run reaches.
fn check_after(path: &Path, golden: &[Commit], acknowledged: CommitSeq, story: &str) {
    let (state, disk) = open(path).unwrap_or_else(|error| panic!("{story}: {error}"));
    let last = disk.last_commit();
    assert!(
        (acknowledged.0..=acknowledged.0 + 1).contains(&last.seq.0),
        "{story}: {acknowledged} were acknowledged, {} are there",
        last.seq
    );
    assert_eq!(last, golden[last.seq.0 as usize], "{story}: another history");
    assert_eq!(state.taken(), last.seq);
    drop((state, disk));
    let verified = sqlite::verify(path).unwrap_or_else(|error| panic!("{story}: {error}"));
    assert_eq!(verified.hash, last.hash, "{story}");

    run(path, &mut CommitSeq(0)).unwrap_or_else(|error| panic!("{story}: going on: {error}"));
    let end = sqlite::verify(path).unwrap_or_else(|error| panic!("{story}: at the end: {error}"));
    assert_eq!(Some(end.hash), golden.last().map(|commit| commit.hash), "{story}: another end");
}

struct Fixture {
    directory: tempfile::TempDir,
    /// What an undisturbed run commits; number 0 comes first.
    golden: Vec<Commit>,
    steps: u64,
    /// Of these, before the closing.
    steps_open: u64,
}

impl Fixture {
    fn new() -> Self {
        static REGISTERED: std::sync::Once = std::sync::Once::new();
        REGISTERED.call_once(|| sqlite_vfs::register("faulty", FaultyDisk, true).unwrap());
        let directory = tempfile::tempdir().unwrap();
        world(|world| world.reset(Fault::Never));
        let path = directory.path().join("golden.db");
        let mut acknowledged = CommitSeq(0);
        let steps_open = run(&path, &mut acknowledged).unwrap();
        let steps = world(|world| world.steps);
        assert_eq!(acknowledged.0, ROUNDS - 1, "the last is never synced, but for the closing");
        let (_, disk) = open(&path).unwrap();
        let golden = (0..=ROUNDS).map(|seq| disk.find_commit(CommitSeq(seq)).unwrap().unwrap()).collect();
        drop(disk);
        sqlite::verify(&path).unwrap();
        Self { directory, golden, steps, steps_open }
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
            let mut acknowledged = CommitSeq(0);
            unfinished += u64::from(run(&path, &mut acknowledged).is_err());
            world(|world| world.reboot(left));
            check_after(&path, &fixture.golden, acknowledged, &story);
        }
    }
    assert!(unfinished > 0, "crashes interrupt the workload");
}

#[test]
fn any_step_fails() {
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let fixture = Fixture::new();
    let path = fixture.path();
    let mut failed_syncs = 0;
    for step in fixture.steps(500) {
        for fault in [Fault::Once(step), Fault::From(step)] {
            let story = format!("{fault:?}");
            world(|world| world.reset(fault));
            let mut acknowledged = CommitSeq(0);
            let ran = run(&path, &mut acknowledged);
            // (In the closing it is not: that says nothing.)
            let is_noticed = ran.is_err() || fault == Fault::Once(step) || step > fixture.steps_open;
            assert!(is_noticed, "{story}: a broken disk is noticed");
            let in_sync = |error: &_| matches!(commit_error(error), Some(CommitError::Sync(_)));
            failed_syncs += usize::from(ran.is_err_and(|error| in_sync(error.as_ref())));
            world(|world| {
                world.repair(Fault::Never);
                world.rewrite_log(path.to_str().unwrap());
            });
            check_after(&path, &fixture.golden, acknowledged, &story);
        }
    }
    assert_eq!(
        failed_syncs,
        2 * (WRITTEN.len() - 1),
        "each sync apart fails: alone, and with all that comes after it"
    );
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
        let mut acknowledged = CommitSeq(0);
        if run(&path, &mut acknowledged).is_ok() {
            continue;
        }
        world(|world| {
            world.repair(Fault::Never);
            world.rewrite_log(path.to_str().unwrap());
        });
        let (state, disk) = open(&path).unwrap_or_else(|error| panic!("{story}: {error}"));
        let shown = disk.last_commit();
        assert!(
            shown.seq >= acknowledged,
            "{story}: {acknowledged} were acknowledged, {} are shown",
            shown.seq
        );
        shown_beyond += u64::from(shown.seq > acknowledged);
        world(|world| world.repair(Fault::From(1))); // So that closing writes nothing.
        drop((state, disk));
        world(|world| world.reboot(Left::Nothing));
        check_after(&path, &fixture.golden, shown.seq, &story);
    }
    assert!(shown_beyond > 0, "some commits are seen though their sync failed");
}
