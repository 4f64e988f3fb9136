//! Where the transfers are: by id, for those that memory still holds, and the runs that the disk index is made of.
//!
//! Most callers' ids rise with time. A transfer whose id is above all earlier ones needs no index entry of its own:
//! such transfers stand in `events` in order of id, so one entry for a *run* of them is enough. Only the others
//! ("scattered") are indexed one by one.

use std::collections::VecDeque;

use super::entry::Entry;
use super::hasher::IdMap;
use crate::{CommitSeq, Timestamp, TransferId};

/// Ids in one run: what a look-up on disk has to scan.
const RUN_LENGTH_MAX: u32 = 64;
/// Transfers from the first to the last of a run: how far back an open run may hold the watermark.
const RUN_SPAN_MAX: u32 = 4096;
/// Scattered ids in one generation in memory; two are held.
const GENERATION_MAX: usize = 1 << 19;
/// Rising ids that memory holds though the disk index has them, so that ids which arrive a little out of order
/// (several customers, several clocks) are seen to be free without asking the disk.
const RISING_MAX: usize = 1 << 18;

/// Consecutive members of the rising sequence of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first_id: TransferId,
    pub(super) first: Timestamp,
    pub(super) last_id: TransferId,
    pub(super) last: Timestamp,
}

/// Cuts the sequence of transfers into runs and scattered ids: a function of that sequence only.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// The highest id so far.
    pub(super) max: TransferId,
    open: Option<(Run, u32, u32)>,
    /// The last transfer seen.
    last: Timestamp,
}

impl Runs {
    /// Continues after a transfer at `last`, with no run open.
    pub(super) fn resume(max: TransferId, last: Timestamp) -> Self {
        Self { max, open: None, last }
    }

    /// Takes the next transfer; returns whether its id is scattered. Finished runs go to `done`.
    pub(super) fn push(&mut self, id: TransferId, at: Timestamp, done: &mut Vec<Run>) -> bool {
        self.last = at;
        let scattered = id <= self.max;
        if let Some((run, length, span)) = &mut self.open {
            *span += 1;
            if !scattered {
                *length += 1;
                run.last_id = id;
                run.last = at;
            }
            if *length >= RUN_LENGTH_MAX || *span >= RUN_SPAN_MAX {
                done.push(*run);
                self.open = None;
            }
        } else if !scattered {
            self.open = Some((Run { first_id: id, first: at, last_id: id, last: at }, 1, 1));
        }
        if !scattered {
            self.max = id;
        }
        scattered
    }

    /// Transfers at or before this time are in finished runs, as far as runs hold them.
    pub(super) fn finished_to(&self) -> Timestamp {
        self.open.map_or(self.last, |(run, ..)| Timestamp(run.first.0 - 1))
    }
}

/// The ids that memory holds.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// The highest id of a transfer ever.
    max: TransferId,
    /// The highest burnt id ever.
    max_burnt: TransferId,
    /// Rising in both.
    rising: VecDeque<(TransferId, Timestamp)>,
    /// Timestamp 0: burnt.
    young: IdMap<TransferId, Timestamp>,
    old: IdMap<TransferId, Timestamp>,
    /// The commit that holds the last of `old`.
    old_until: CommitSeq,
    /// The highest id that only the disk knows; memory has all above it.
    only_on_disk: TransferId,
}

/// What memory knows of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// There is none: it is above all that only the disk knows.
    Free,
    /// The transfer's time, or 0 if the id is burnt.
    At(Timestamp),
    /// The disk has to be asked.
    AskDisk,
}

/// What to undo of an insert.
#[derive(Clone, Copy, Debug)]
pub(super) struct UndoId {
    max: TransferId,
    max_burnt: TransferId,
}

impl Ids {
    /// Continues a file that holds ids up to these.
    pub(super) fn resume(max: TransferId, max_burnt: TransferId) -> Self {
        Self { max, max_burnt, only_on_disk: max.max(max_burnt), ..Self::default() }
    }

    pub(super) fn find(&self, id: TransferId) -> Found {
        if id > self.max && id > self.max_burnt {
            return Found::Free;
        }
        if let Some(at) = self.young.get(&id).or_else(|| self.old.get(&id)) {
            return Found::At(*at);
        }
        if let Ok(place) = self.rising.binary_search_by_key(&id, |(id, _)| *id) {
            return Found::At(self.rising[place].1);
        }
        if id > self.only_on_disk { Found::Free } else { Found::AskDisk }
    }

    pub(super) fn insert(&mut self, id: TransferId, at: Timestamp) -> UndoId {
        let undo = UndoId { max: self.max, max_burnt: self.max_burnt };
        if id > self.max {
            self.max = id;
            self.rising.push_back((id, at));
        } else {
            self.young.insert(id, at);
        }
        undo
    }

    pub(super) fn burn(&mut self, id: TransferId) -> UndoId {
        let undo = UndoId { max: self.max, max_burnt: self.max_burnt };
        self.max_burnt = self.max_burnt.max(id);
        self.young.insert(id, Timestamp::ZERO);
        undo
    }

    /// Takes back the newest insert or burn.
    pub(super) fn undo(&mut self, id: TransferId, undo: UndoId) {
        if self.rising.back().is_some_and(|(last, _)| *last == id) {
            self.rising.pop_back();
        } else {
            self.young.remove(&id);
        }
        self.max = undo.max;
        self.max_burnt = undo.max_burnt;
    }

    /// Starts a new generation when the young one is full and the old one is on disk.
    pub(super) fn rotate(&mut self, upto: CommitSeq, durable: CommitSeq) {
        if self.young.len() >= GENERATION_MAX && self.old_until <= durable {
            let dropped = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            self.only_on_disk = dropped.into_keys().fold(self.only_on_disk, TransferId::max);
            self.old_until = upto;
        }
    }

    /// Forgets the oldest rising ids that the disk index holds.
    pub(super) fn forget(&mut self, upto: Timestamp) {
        while self.rising.len() > RISING_MAX
            && let Some((id, _)) = self.rising.pop_front_if(|(_, at)| *at <= upto)
        {
            self.only_on_disk = self.only_on_disk.max(id);
        }
    }
}

/// The part of a commit that goes into the id index.
#[derive(Debug, Default)]
pub(super) struct IdChanges {
    pub(super) runs: Vec<Run>,
    /// Sorted by id. Timestamp 0: burnt.
    pub(super) scattered: Vec<(TransferId, Timestamp)>,
    /// The index is complete for transfers up to this time.
    pub(super) from: Timestamp,
}

impl IdChanges {
    /// Index entries for the transfers of `entries` and for burnt ids.
    pub(super) fn collect(runs: &mut Runs, entries: &[Entry], burnt: &[TransferId]) -> Self {
        let mut changes = Self::default();
        for entry in entries.iter().filter(|entry| entry.transfer.id != TransferId::ZERO) {
            if runs.push(entry.transfer.id, entry.timestamp(), &mut changes.runs) {
                changes.scattered.push((entry.transfer.id, entry.timestamp()));
            }
        }
        changes.scattered.extend(burnt.iter().map(|id| (*id, Timestamp::ZERO)));
        changes.scattered.sort_unstable();
        changes.from = runs.finished_to();
        changes
    }
}
