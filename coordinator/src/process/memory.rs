//! What a coordinator keeps over a restart: the orders under way. Nothing depends on it but waiting times.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use hundi_protocol::{Digest, MalformedOrder, Order};
use rusqlite::Connection;

/// How often what changed is written.
const WRITE_EVERY: Duration = Duration::from_millis(250);
/// An order that is under way for so long, or up to twice as long, is handed to the thread that writes. Most payments are over by
/// then, and nobody has any work with them.
const YOUNG: Duration = Duration::from_millis(500);

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// SQLite says so.
    #[error(
        "{path}: {error}; if it is damaged, move it away: the coordinator starts without it and customers' repeats bring the orders back"
    )]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        error: rusqlite::Error,
    },
    /// It holds something that is not an order.
    #[error("{path}: damaged: {error}; move the file away: the coordinator starts without it")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: MalformedOrder,
    },
    /// Another process has it.
    #[error("{path} is in use by another process; stop that one first, or give this one another --data")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The folder cannot be locked.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
}

/// One change of what is under way.
#[derive(Debug)]
pub(super) enum Note {
    Remember(Arc<Order>),
    Forget(Digest),
}

/// What the core wants kept in mind.
#[derive(Debug)]
pub(super) struct Notes {
    /// To the thread that writes.
    sender: Sender<Note>,
    /// Orders that came since the last hand-over.
    newer: HashMap<Digest, Arc<Order>>,
    /// Those that came before it: whatever is here at the next one is handed over.
    older: HashMap<Digest, Arc<Order>>,
    hand_over_at: Instant,
    /// The thread is gone, and that has been said.
    is_alone: bool,
}

impl Notes {
    fn new(sender: Sender<Note>) -> Self {
        let hand_over_at = Instant::now() + YOUNG;
        Notes { sender, newer: HashMap::new(), older: HashMap::new(), hand_over_at, is_alone: false }
    }

    pub(super) fn remember(&mut self, order: Arc<Order>) {
        self.newer.insert(order.digest(), order);
    }

    pub(super) fn forget(&mut self, digest: Digest) {
        if self.newer.remove(&digest).is_none() && self.older.remove(&digest).is_none() {
            self.tell(Note::Forget(digest));
        }
    }

    /// Hands over what is no longer young, when it is time.
    pub(super) fn handle_time(&mut self, now: Instant) {
        if now >= self.hand_over_at {
            self.hand_over_at = now + YOUNG;
            let older = std::mem::replace(&mut self.older, std::mem::take(&mut self.newer));
            older.into_values().for_each(|order| self.tell(Note::Remember(order)));
        }
    }

    fn tell(&mut self, note: Note) {
        if self.sender.send(note).is_err() && !std::mem::replace(&mut self.is_alone, true) {
            tracing::warn!("the memory thread is gone; orders under way are not kept over a restart");
        }
    }
}

/// A core that ends hands everything over.
impl Drop for Notes {
    fn drop(&mut self) {
        let newer = std::mem::take(&mut self.newer).into_values();
        let all = std::mem::take(&mut self.older).into_values().chain(newer);
        all.for_each(|order| self.tell(Note::Remember(order)));
    }
}

/// The file, held against a second process as long as this lives.
#[derive(Debug)]
pub(super) struct Memory {
    connection: Connection,
    _lock: std::fs::File,
}

impl Memory {
    pub(super) fn open(path: &Path) -> Result<Self, MemoryError> {
        let lock = lock(path)?;
        let sqlite = |error| MemoryError::Sqlite { path: path.into(), error };
        let connection = Connection::open(path).map_err(sqlite)?;
        // No sync: losing the last moments to a power cut costs a customer one repeat.
        let schema = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
            CREATE TABLE IF NOT EXISTS orders(digest BLOB PRIMARY KEY, jws BLOB NOT NULL) STRICT, WITHOUT ROWID;";
        connection.execute_batch(schema).map_err(sqlite)?;
        Ok(Memory { connection, _lock: lock })
    }

    /// The orders that were under way.
    pub(super) fn orders(&self, path: &Path) -> Result<Vec<Arc<Order>>, MemoryError> {
        let sqlite = |error| MemoryError::Sqlite { path: path.into(), error };
        let mut select = self.connection.prepare("SELECT jws FROM orders").map_err(sqlite)?;
        let rows = select.query_map([], |row| row.get::<_, Vec<u8>>(0)).map_err(sqlite)?;
        rows.map(|jws| {
            let order = Order::parse(&jws.map_err(sqlite)?);
            order.map_err(|error| MemoryError::Damaged { path: path.into(), error })
        })
        .collect()
    }

    fn write(&mut self, notes: &BTreeMap<Digest, Option<Arc<Order>>>) -> rusqlite::Result<()> {
        let tx = self.connection.transaction()?;
        for (digest, order) in notes {
            match order {
                Some(order) => tx
                    .prepare_cached("INSERT OR IGNORE INTO orders(digest, jws) VALUES (?, ?)")?
                    .execute((digest.as_bytes(), order.bytes()))?,
                None => {
                    tx.prepare_cached("DELETE FROM orders WHERE digest = ?")?.execute([digest.as_bytes()])?
                }
            };
        }
        tx.commit()
    }
}

/// A second process on the same file would forget the first one's orders. The lock is on the folder itself: a file made for
/// it could be removed, and then a second process would lock another.
fn lock(path: &Path) -> Result<std::fs::File, MemoryError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let io = |error| MemoryError::Io { path: folder.into(), error };
    let held = std::fs::File::open(folder).map_err(io)?;
    match held.try_lock() {
        Ok(()) => Ok(held),
        Err(std::fs::TryLockError::WouldBlock) => Err(MemoryError::InUse { path: path.into() }),
        Err(std::fs::TryLockError::Error(error)) => Err(io(error)),
    }
}

/// The file, and what is to be written to it.
#[derive(Debug)]
struct Keeper {
    memory: Memory,
    /// What the file holds.
    written: BTreeSet<Digest>,
    /// What is to be put in, and what is to go. Nothing goes that is not there, so this is never longer than what is under
    /// way and what is written.
    changed: BTreeMap<Digest, Option<Arc<Order>>>,
    /// The last attempt to write failed, and that has been said.
    failing: bool,
}

impl Keeper {
    fn note(&mut self, note: Note) {
        match note {
            Note::Remember(order) => drop(self.changed.insert(order.digest(), Some(order))),
            Note::Forget(digest) if self.written.contains(&digest) => drop(self.changed.insert(digest, None)),
            Note::Forget(digest) => drop(self.changed.remove(&digest)),
        }
    }

    /// Writes what changed. What cannot be written is tried again the next time.
    fn write(&mut self) {
        if self.changed.is_empty() {
            return;
        }
        if let Err(error) = self.memory.write(&self.changed) {
            if !std::mem::replace(&mut self.failing, true) {
                tracing::warn!(
                    "orders under way are not kept: {error}; a restart would need customers' repeats"
                );
            }
            return;
        }
        if std::mem::replace(&mut self.failing, false) {
            tracing::info!("orders under way are kept again");
        }
        for (digest, order) in std::mem::take(&mut self.changed) {
            match order {
                Some(_) => self.written.insert(digest),
                None => self.written.remove(&digest),
            };
        }
    }
}

/// Starts the thread that writes what changed, a few times a second, until the core is gone. `written` is what the
/// file holds now.
pub(super) fn spawn(
    memory: Memory,
    written: BTreeSet<Digest>,
) -> std::io::Result<(Notes, std::thread::JoinHandle<()>)> {
    let (sender, notes): (_, Receiver<Note>) = crossbeam_channel::unbounded();
    let mut keeper = Keeper { memory, written, changed: BTreeMap::new(), failing: false };
    let thread = std::thread::Builder::new().name("memory".into()).spawn(move || {
        loop {
            let gone = match notes.recv_timeout(WRITE_EVERY) {
                Ok(note) => {
                    std::iter::once(note).chain(notes.try_iter()).for_each(|note| keeper.note(note));
                    std::thread::sleep(WRITE_EVERY);
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            keeper.write();
            if gone {
                break;
            }
        }
    })?;
    Ok((Notes::new(sender), thread))
}

#[cfg(test)]
mod tests {
    use hundi_protocol::{Credit, CustomerKey, Minor, OrderFields, OrderId, UnixMillis};

    use super::*;

    fn order(n: u8) -> Arc<Order> {
        let fields = OrderFields {
            id: OrderId::from_parts(UnixMillis(500), [n; 10]),
            payer: "asha@alpha".parse().unwrap(),
            credits: vec![Credit { payee: "bela@beta".parse().unwrap(), amount: Minor(5) }],
            currency: "INR".parse().unwrap(),
            expires_at: UnixMillis(9_000),
            note: String::new(),
        };
        Order::sign(&fields, &CustomerKey::from_seed(&[7; 32])).unwrap()
    }

    #[test]
    fn what_is_over_soon_is_nobodys_work_and_what_is_not_is_handed_over() {
        let (sender, told) = crossbeam_channel::unbounded();
        let mut notes = Notes::new(sender);
        let told = || {
            let shown = told.try_iter().map(|note| match note {
                Note::Remember(order) => (true, order.digest()),
                Note::Forget(digest) => (false, digest),
            });
            shown.collect::<Vec<_>>()
        };
        let [a, b, c, d] = [0, 1, 2, 3].map(order);
        let later = Instant::now() + YOUNG;
        [&a, &b, &c].into_iter().for_each(|order| notes.remember(Arc::clone(order)));
        notes.forget(a.digest());
        notes.handle_time(later);
        notes.handle_time(later);
        notes.forget(b.digest());
        assert!(told().is_empty(), "they are young, or over");
        notes.remember(Arc::clone(&d));
        notes.handle_time(later + YOUNG);
        assert_eq!(told(), [(true, c.digest())]);
        notes.forget(c.digest());
        notes.remember(Arc::clone(&c));
        notes.forget(c.digest());
        assert_eq!(told(), [(false, c.digest())], "the thread knew of it the first time");
        drop(notes);
        assert_eq!(told(), [(true, d.digest())], "a core that ends hands over what there is");
    }

    #[test]
    fn what_a_full_disk_did_not_take_is_written_when_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("coordinator.db");
        let memory = Memory::open(&path).unwrap();
        let mut keeper =
            Keeper { memory, written: BTreeSet::new(), changed: BTreeMap::new(), failing: false };
        keeper.note(Note::Remember(order(0)));
        keeper.write();
        let pages = |keeper: &Keeper, max: u32| {
            let sql = format!("PRAGMA max_page_count = {max}");
            keeper.memory.connection.query_row(&sql, [], |_| Ok(())).unwrap();
        };
        pages(&keeper, 3);
        (1..=100).for_each(|n| keeper.note(Note::Remember(order(n))));
        keeper.note(Note::Forget(order(0).digest()));
        keeper.note(Note::Forget(order(100).digest()));
        keeper.write();
        assert!(keeper.failing);
        assert_eq!(keeper.memory.orders(&path).unwrap(), [order(0)], "as it was");
        pages(&keeper, 1_000);
        keeper.write();
        drop(keeper);
        let mut kept = Memory::open(&path).unwrap().orders(&path).unwrap();
        kept.sort_by_key(|order| order.digest());
        let mut under_way: Vec<_> = (1..100).map(order).collect();
        under_way.sort_by_key(|order| order.digest());
        assert_eq!(kept, under_way);
    }
}
