//! A ledger in use, whose files somebody moves about.

use std::path::{Path, PathBuf};

use hundi_ledger::sqlite::{self, CommitError, Disk, Options, State};
use hundi_ledger::{Account, Ledger, Reads, Store, Timestamp, Transfer, TransferId, engine};

pub(crate) fn log_of(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

pub(crate) fn saved_of(log: &Path, copy: usize) -> PathBuf {
    log.with_added_extension(if copy == 1 { "saved".to_owned() } else { format!("saved.{copy}") })
}

pub(crate) fn accounts() -> [Account; 2] {
    [Account::new(1, 1, 1), Account::new(2, 1, 1)]
}

pub(crate) fn transfer(id: u128) -> Transfer {
    Transfer::new(id, 1, 2, 1, 1, 1)
}

pub(crate) fn make(state: &mut State, disk: &mut Disk, id: u128) -> Result<(), CommitError> {
    let time = engine::next_time(state.last(), Timestamp::FIRST, 1);
    engine::create_transfers(state, time, &[transfer(id)]).unwrap();
    let commit = match id % 2 {
        0 => disk.commit(state.take_changes(), |_| Ok(Vec::new()))?,
        _ => {
            disk.write(state.take_changes(), |_| Ok(Vec::new()))?;
            disk.sync()?
        }
    };
    state.handle_durable(commit.seq);
    Ok(())
}

pub(crate) struct Displaced {
    pub(crate) folder: tempfile::TempDir,
    /// How many transfers were acknowledged.
    pub(crate) acknowledged: u128,
    pub(crate) state: State,
    pub(crate) disk: Disk,
}

impl Displaced {
    /// A ledger in use: some of what was acknowledged is in its file, all of it in its log.
    pub(crate) fn new(acknowledged: u128) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (mut state, mut disk) = sqlite::open(folder.path().join("app.db"), Options::default()).unwrap();
        engine::create_accounts(&mut state, Timestamp(2), &accounts()).unwrap();
        let commit = disk.commit(state.take_changes(), |_| Ok(Vec::new())).unwrap();
        state.handle_durable(commit.seq);
        let mut new = Self { folder, acknowledged: 0, state, disk };
        new.acknowledge(40);
        new.disk.checkpoint().unwrap();
        new.acknowledge(acknowledged);
        new
    }

    pub(crate) fn acknowledge(&mut self, more: u128) {
        for _ in 0..more {
            self.acknowledged += 1;
            make(&mut self.state, &mut self.disk, self.acknowledged).unwrap();
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }

    /// The next commit fails, and says what is not in its place and where its contents are.
    pub(crate) fn next_commit(&mut self) -> (PathBuf, Option<PathBuf>) {
        let [first, second] =
            [1, 2].map(|more| make(&mut self.state, &mut self.disk, self.acknowledged + more).unwrap_err());
        assert!(matches!(second, CommitError::Poisoned), "it is final: {second}");
        let text = first.to_string();
        let CommitError::Displaced { path, saved } = first else { panic!("{text}") };
        assert!(text.contains(&path.display().to_string()), "{text}");
        (path, saved)
    }

    /// An orderly end; gives the folder, and how many transfers were acknowledged.
    pub(crate) fn end(self) -> (tempfile::TempDir, u128) {
        let Self { folder, acknowledged, state, disk } = self;
        drop((state, disk));
        (folder, acknowledged)
    }

    /// Whoever opens the files that are there after a kill finds all that was acknowledged.
    pub(crate) fn check_after_kill(self) {
        let Self { folder, acknowledged, state, disk } = self;
        // Nothing is done as at an orderly end; and a copy, for this process has the lock's file.
        let after = folder.path().join("after.db");
        for entry in folder.path().read_dir().unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if let Some(ending) = name.strip_prefix("app.db").filter(|ending| *ending != "-shm") {
                let copy = folder.path().join(format!("after.db{ending}"));
                std::fs::copy(folder.path().join(&name), copy).unwrap();
            }
        }
        check_has(&after, acknowledged);
        std::mem::forget((state, disk));
    }
}

pub(crate) fn check_has(path: &Path, acknowledged: u128) {
    let ledger = Ledger::open(path).unwrap();
    let ids: Vec<TransferId> = (1..=acknowledged).map(TransferId).collect();
    assert_eq!(ledger.lookup_transfers(&ids).unwrap().len(), ids.len());
    drop(ledger);
    assert_eq!(sqlite::verify(path).unwrap().accounts, 2);
}
