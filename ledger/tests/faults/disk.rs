//! A disk in memory that loses what was not synced, tears pages, and fails when it is told to.

use std::collections::HashMap;
use std::io::{Error, ErrorKind, Result};
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlite_vfs::wip::{WalIndex, WalIndexLock};
use sqlite_vfs::{DatabaseHandle, LockKind, OpenAccess, OpenOptions, Vfs};

/// When the disk goes wrong. Steps count from 1: reads, writes, syncs, truncations, deletions and creations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Never,
    /// One step fails.
    Once(u64),
    /// All steps from this one on fail.
    From(u64),
    /// This step is the last before the power goes: a write arrives in the cache, a sync does not happen.
    Crash(u64),
}

/// What a crash leaves of the writes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    Nothing,
    Everything,
    /// Any sectors of any writes.
    Some(u64),
}

const SECTOR: usize = 512;

/// SQLite's count from 1.
const OWN_HANDLE: u64 = 0;

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(at, data) => {
                if bytes.len() < at + data.len() {
                    bytes.resize(at + data.len(), 0);
                }
                bytes[*at..at + data.len()].copy_from_slice(data);
            }
            Self::Length(length) => bytes.resize(*length, 0),
        }
    }
}

#[derive(Default)]
struct File {
    /// What readers see.
    seen: Vec<u8>,
    /// What is on the platter.
    durable: Vec<u8>,
    /// What a sync would write.
    dirty: Vec<Change>,
    /// Handles with a failed sync: another sync of theirs would be a retry.
    failed: Vec<u64>,
    locks: HashMap<u64, LockKind>,
    shared: HashMap<u32, Box<[u8; 32768]>>,
    shared_locks: HashMap<u64, [WalIndexLock; 8]>,
}

pub(crate) struct World {
    files: HashMap<String, File>,
    pub(crate) steps: u64,
    pub(crate) syncs: u64,
    /// Syncs of a handle after one that failed.
    pub(crate) retries: u64,
    fault: Fault,
    dead: bool,
    next_handle: u64,
    random: u64,
}

static WORLD: Mutex<Option<World>> = Mutex::new(None);

/// The one disk of this process.
pub(crate) fn world<R>(with: impl FnOnce(&mut World) -> R) -> R {
    let mut world: MutexGuard<'_, Option<World>> = WORLD.lock().unwrap_or_else(PoisonError::into_inner);
    with(world.get_or_insert_with(|| World {
        files: HashMap::new(),
        steps: 0,
        syncs: 0,
        retries: 0,
        fault: Fault::Never,
        dead: false,
        next_handle: 0,
        random: 1,
    }))
}

impl World {
    /// An empty disk that will go wrong so.
    pub(crate) fn reset(&mut self, fault: Fault) {
        self.files.clear();
        self.repair(fault);
    }

    /// The disk works again, or goes wrong anew; steps are counted from here.
    pub(crate) fn repair(&mut self, fault: Fault) {
        (self.fault, self.dead, self.steps, self.syncs, self.retries) = (fault, false, 0, 0, 0);
    }

    /// The power goes and comes back.
    pub(crate) fn reboot(&mut self, left: Left) {
        if let Left::Some(seed) = left {
            self.random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        }
        let mut files = std::mem::take(&mut self.files);
        let mut names: Vec<&String> = files.keys().collect();
        names.sort();
        for name in names.into_iter().cloned().collect::<Vec<_>>() {
            let file = files.get_mut(&name).expect("just listed");
            for change in std::mem::take(&mut file.dirty) {
                self.keep(&change, left, &mut file.durable);
            }
            file.seen = file.durable.clone();
            file.locks.clear();
            file.failed.clear();
            file.shared.clear();
            file.shared_locks.clear();
        }
        self.files = files;
        self.repair(Fault::Never);
    }

    fn keep(&mut self, change: &Change, left: Left, bytes: &mut Vec<u8>) {
        match (left, change) {
            (Left::Nothing, _) => {}
            (Left::Everything, _) => change.apply(bytes),
            (Left::Some(_), Change::Length(_)) => {
                if self.chance() {
                    change.apply(bytes);
                }
            }
            (Left::Some(_), Change::Write(at, data)) => {
                for (sector, piece) in data.chunks(SECTOR).enumerate() {
                    if self.chance() {
                        Change::Write(at + sector * SECTOR, piece.to_vec()).apply(bytes);
                    }
                }
            }
        }
    }

    fn chance(&mut self) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 40 & 1 == 1
    }

    /// What opening does, through the operating system, to a log that it finds: writes it over itself and syncs it.
    pub(crate) fn rewrite_log(&mut self, ledger: &str) {
        if let Some(log) = self.files.get_mut(&format!("{ledger}-wal")) {
            log.durable = log.seen.clone();
            log.dirty.clear();
        }
    }

    /// What [`Disk::sync`](hundi_ledger::sqlite::Disk::sync) does to a log, by a handle that is not SQLite's.
    pub(crate) fn sync_log(&mut self, log: &Path) -> Result<()> {
        self.sync(log.to_str().unwrap(), OWN_HANDLE)
    }

    /// Counts a step. `Ok(true)`: do it, and then the power goes.
    fn step(&mut self) -> Result<bool> {
        let failed = || Err(Error::other("the disk fails"));
        if self.dead {
            return failed();
        }
        self.steps += 1;
        match self.fault {
            Fault::Once(step) if step == self.steps => failed(),
            Fault::From(step) if step <= self.steps => failed(),
            Fault::Crash(step) if step == self.steps => {
                self.dead = true;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn file(&mut self, name: &str) -> Result<&mut File> {
        self.files.get_mut(name).ok_or_else(|| Error::from(ErrorKind::NotFound))
    }

    fn change(&mut self, name: &str, change: Change) -> Result<()> {
        self.step()?;
        let file = self.file(name)?;
        change.apply(&mut file.seen);
        file.dirty.push(change);
        Ok(())
    }

    fn sync(&mut self, name: &str, handle: u64) -> Result<()> {
        self.syncs += 1;
        self.retries += u64::from(self.file(name)?.failed.contains(&handle));
        match self.step() {
            Ok(false) => {
                let file = self.file(name)?;
                let dirty = std::mem::take(&mut file.dirty);
                dirty.iter().for_each(|change| change.apply(&mut file.durable));
                Ok(())
            }
            Ok(true) => Err(Error::other("the power went")),
            Err(error) => {
                // As Linux does: the pages stay readable, but no later sync writes them.
                let file = self.file(name)?;
                file.failed.push(handle);
                file.dirty.clear();
                Err(error)
            }
        }
    }
}

/// The disk as SQLite sees it.
pub(crate) struct FaultyDisk;

pub(crate) struct Handle {
    name: String,
    id: u64,
}

impl Vfs for FaultyDisk {
    type Handle = Handle;

    fn open(&self, name: &str, options: OpenOptions) -> Result<Handle> {
        world(|world| {
            if !world.files.contains_key(name) {
                if !matches!(options.access, OpenAccess::Create | OpenAccess::CreateNew) {
                    return Err(ErrorKind::NotFound.into());
                }
                world.step()?;
                world.files.insert(name.into(), File::default());
            }
            world.next_handle += 1;
            Ok(Handle { name: name.into(), id: world.next_handle })
        })
    }

    fn delete(&self, name: &str) -> Result<()> {
        world(|world| {
            world.step()?;
            world.files.remove(name).map(|_| ()).ok_or_else(|| ErrorKind::NotFound.into())
        })
    }

    fn exists(&self, name: &str) -> Result<bool> {
        Ok(world(|world| world.files.contains_key(name)))
    }

    fn temporary_name(&self) -> String {
        world(|world| {
            world.next_handle += 1;
            format!("temporary-{}", world.next_handle)
        })
    }

    fn random(&self, buffer: &mut [i8]) {
        world(|world| {
            buffer.iter_mut().for_each(|byte| *byte = i8::from(world.chance()) + (world.random >> 56) as i8)
        });
    }

    fn sleep(&self, duration: Duration) -> Duration {
        duration // Nobody else runs: waiting would not help.
    }
}

impl DatabaseHandle for Handle {
    type WalIndex = Shared;

    fn size(&self) -> Result<u64> {
        world(|world| Ok(world.file(&self.name)?.seen.len() as u64))
    }

    fn read_exact_at(&mut self, buffer: &mut [u8], offset: u64) -> Result<()> {
        world(|world| {
            world.step()?;
            let seen = &world.file(&self.name)?.seen;
            let at = usize::try_from(offset).unwrap().min(seen.len());
            let length = buffer.len().min(seen.len() - at);
            buffer[..length].copy_from_slice(&seen[at..at + length]);
            buffer[length..].fill(0);
            if length == buffer.len() { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
        })
    }

    fn write_all_at(&mut self, data: &[u8], offset: u64) -> Result<()> {
        world(|world| {
            world.change(&self.name, Change::Write(usize::try_from(offset).unwrap(), data.to_vec()))
        })
    }

    fn sync(&mut self, _data_only: bool) -> Result<()> {
        world(|world| world.sync(&self.name, self.id))
    }

    fn set_len(&mut self, size: u64) -> Result<()> {
        world(|world| world.change(&self.name, Change::Length(usize::try_from(size).unwrap())))
    }

    fn lock(&mut self, wanted: LockKind) -> Result<bool> {
        world(|world| {
            let id = self.id;
            let file = world.file(&self.name)?;
            let mut others = file.locks.iter().filter(|(other, _)| **other != id).map(|(_, lock)| *lock);
            let allowed = match wanted {
                LockKind::None => true,
                LockKind::Shared => {
                    !others.any(|lock| matches!(lock, LockKind::Pending | LockKind::Exclusive))
                }
                LockKind::Reserved | LockKind::Pending => {
                    !others.any(|lock| !matches!(lock, LockKind::None | LockKind::Shared))
                }
                LockKind::Exclusive => !others.any(|lock| lock != LockKind::None),
            };
            if allowed {
                file.locks.insert(id, wanted);
            }
            Ok(allowed)
        })
    }

    fn reserved(&mut self) -> Result<bool> {
        world(|world| {
            let locks = &world.file(&self.name)?.locks;
            Ok(locks.values().any(|lock| !matches!(lock, LockKind::None | LockKind::Shared)))
        })
    }

    fn current_lock(&self) -> Result<LockKind> {
        world(|world| Ok(world.file(&self.name)?.locks.get(&self.id).copied().unwrap_or(LockKind::None)))
    }

    fn wal_index(&self, _readonly: bool) -> Result<Shared> {
        Ok(Shared { name: self.name.clone(), id: self.id })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        world(|world| {
            if let Some(file) = world.files.get_mut(&self.name) {
                file.locks.remove(&self.id);
                file.shared_locks.remove(&self.id);
                if file.locks.is_empty() {
                    file.shared.clear(); // The last connection takes the shared memory with it.
                }
            }
        });
    }
}

/// The index of the log, shared by the connections of this process.
pub(crate) struct Shared {
    name: String,
    id: u64,
}

impl WalIndex for Shared {
    fn map(&mut self, region: u32) -> Result<[u8; 32768]> {
        world(|world| {
            Ok(**world.file(&self.name)?.shared.entry(region).or_insert_with(|| Box::new([0; 32768])))
        })
    }

    fn lock(&mut self, places: Range<u8>, wanted: WalIndexLock) -> Result<bool> {
        world(|world| {
            let file = world.file(&self.name)?;
            let mut others = file.shared_locks.iter().filter(|(other, _)| **other != self.id);
            let allowed = others.all(|(_, locks)| {
                places.clone().all(|place| {
                    let other = locks[usize::from(place)];
                    wanted == WalIndexLock::None
                        || other == WalIndexLock::None
                        || (wanted, other) == (WalIndexLock::Shared, WalIndexLock::Shared)
                })
            });
            if allowed {
                let own = file.shared_locks.entry(self.id).or_insert([WalIndexLock::None; 8]);
                places.for_each(|place| own[usize::from(place)] = wanted);
            }
            Ok(allowed)
        })
    }

    fn delete(self) -> Result<()> {
        world(|world| {
            if let Ok(file) = world.file(&self.name) {
                file.shared.clear();
            }
        });
        Ok(())
    }

    fn pull(&mut self, region: u32, data: &mut [u8; 32768]) -> Result<()> {
        world(|world| {
            if let Some(shared) = world.file(&self.name)?.shared.get(&region) {
                data.copy_from_slice(&shared[..]);
            }
            Ok(())
        })
    }

    fn push(&mut self, region: u32, data: &[u8; 32768]) -> Result<()> {
        world(|world| {
            world.file(&self.name)?.shared.insert(region, Box::new(*data));
            Ok(())
        })
    }
}
