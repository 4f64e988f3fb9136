//! Where the transfers are: by id, for those that memory still holds, and the runs that the disk index is made of.
//!
//! Most callers' ids rise with time. A transfer whose id is above all earlier ones needs no index entry of its own:
//! such transfers stand in `events` in order of id, so one entry for a *run* of them is enough. Only the others
//! ("scattered") are indexed one by one.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, VecDeque};

use super::entry::Entry;
use super::hasher::{IdMap, IdParts};
use crate::{CommitSeq, Timestamp, TransferId};

/// Ids in a run: one index entry leads to so many.
const RUN_LENGTH: usize = 64;
/// Transfers from the first to the last of a run, those between them included: what a look-up on disk has to scan.
const RUN_SPAN_MAX: usize = 256;
/// Generations of scattered ids are so many times longer than the lag of balances: only ids are read again.
const GENERATION_LAGS: usize = 4;
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

/// Where an id is indexed.
#[derive(Debug, Default)]
pub(super) struct Cut {
    pub(super) runs: Vec<Run>,
    /// One by one.
    pub(super) scattered: Vec<(TransferId, Timestamp)>,
}

/// Cuts the sequence of transfers into runs and scattered ids: a function of that sequence only.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// The highest id so far.
    max: TransferId,
    /// The members of the open run: rising ids.
    open: Vec<(TransferId, Timestamp)>,
    /// Transfers since the first of them.
    span: usize,
    /// Everything before the open run.
    before: Point,
    /// The last transfer seen.
    last: Timestamp,
}

/// A place in the sequence of transfers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Point {
    /// The last transfer.
    pub(super) at: Timestamp,
    /// The highest id up to it.
    pub(super) max: TransferId,
}

impl Runs {
    /// Continues at a point where no run was open.
    pub(super) fn resume(from: Point) -> Self {
        Self { max: from.max, last: from.at, before: from, ..Self::default() }
    }

    /// Takes the next transfer; returns whether its id is not above all earlier ones.
    pub(super) fn push(&mut self, id: TransferId, at: Timestamp, cut: &mut Cut) -> bool {
        let rising = id > self.max;
        if rising {
            if self.open.is_empty() {
                self.before = Point { at: self.last, max: self.max };
                self.span = 0;
            }
            self.open.push((id, at));
            self.max = id;
        } else {
            cut.scattered.push((id, at));
        }
        self.last = at;
        self.span += 1;
        if self.open.len() == RUN_LENGTH {
            let (first, last) = (self.open[0], self.open[RUN_LENGTH - 1]);
            cut.runs.push(Run { first_id: first.0, first: first.1, last_id: last.0, last: last.1 });
            self.open.clear();
        } else if self.span >= RUN_SPAN_MAX {
            cut.scattered.append(&mut self.open); // Too thin to be worth a scan.
        }
        !rising
    }

    /// The last point up to which everything is cut.
    pub(super) fn finished_to(&self) -> Point {
        if self.open.is_empty() { Point { at: self.last, max: self.max } } else { self.before }
    }
}

/// How far the index of ids on disk reaches: what is later has to be read again on opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct IndexedTo {
    /// Transfers up to this point.
    pub(super) transfers: Point,
    /// So many burnt ids.
    pub(super) burnt: u64,
}

/// Scattered ids of some time, on their way to the disk.
#[derive(Debug)]
struct Sealed {
    ids: IdParts<TransferId, Timestamp>,
    count: usize,
    /// How far the index reaches until all of these are written.
    from: IndexedTo,
    /// How many are not yet written.
    left: usize,
    /// The commit that writes the last of them.
    written_by: CommitSeq,
}

/// The ids that memory holds.
///
/// Scattered ids come in generations. The young one is only in memory. When it is full it is sealed, and written with
/// the following commits in order of id, so that a page of the index is written once for many ids.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// The highest id of a transfer ever.
    max: TransferId,
    /// The highest burnt id ever.
    max_burnt: TransferId,
    /// Rising in both.
    rising: VecDeque<(TransferId, Timestamp)>,
    /// Scattered ids in one generation in memory, or transfers in the time of one; two are held.
    generation: usize,
    /// Timestamp 0: burnt.
    young: IdParts<TransferId, Timestamp>,
    young_max: TransferId,
    young_from: IndexedTo,
    /// Transfers since `young_from`.
    young_span: usize,
    /// Ids that the disk's side has gathered since `young_from`; some stand in `rising`.
    gathered: usize,
    sealed: Option<Sealed>,
    /// The highest id that only the disk knows; memory has all above it.
    only_on_disk: TransferId,
    /// The lowest and highest id in runs on disk.
    in_runs: Option<(TransferId, TransferId)>,
    /// Ids that were asked of the disk for the batch that runs.
    fetched: IdMap<TransferId, Option<Timestamp>>,
}

/// What memory knows of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// There is none: it is above all that only the disk knows, or the disk was asked.
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
    /// Continues a file that holds ids up to these, and whose index reaches so far.
    pub(super) fn resume(
        max: TransferId,
        max_burnt: TransferId,
        indexed: IndexedTo,
        lag_events: usize,
    ) -> Self {
        let generation = (lag_events * GENERATION_LAGS).max(2);
        Self {
            generation,
            max,
            max_burnt,
            only_on_disk: max.max(max_burnt),
            young_from: indexed,
            ..Self::default()
        }
    }

    pub(super) fn find(&self, id: TransferId) -> Found {
        if id > self.max && id > self.max_burnt {
            return Found::Free;
        }
        let sealed = || self.sealed.as_ref().and_then(|sealed| sealed.ids.get(&id));
        if let Some(at) = self.young.get(&id).or_else(sealed) {
            return Found::At(*at);
        }
        if let Ok(place) = self.rising.binary_search_by_key(&id, |(id, _)| *id) {
            return Found::At(self.rising[place].1);
        }
        if id > self.only_on_disk {
            return Found::Free;
        }
        match self.fetched.get(&id) {
            None => Found::AskDisk,
            Some(None) => Found::Free,
            Some(Some(at)) => Found::At(*at),
        }
    }

    /// Those of a batch's ids that only the disk knows, in order. Forgets what was fetched for the batch before.
    pub(super) fn unknown(&mut self, ids: impl Iterator<Item = TransferId>) -> Vec<TransferId> {
        self.fetched.clear();
        let mut unknown: Vec<TransferId> =
            ids.filter(|id| *id != TransferId::ZERO && self.find(*id) == Found::AskDisk).collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown
    }

    /// Remembers what the disk says of an id.
    pub(super) fn fetched(&mut self, id: TransferId, at: Option<Timestamp>) {
        self.fetched.insert(id, at);
    }

    pub(super) fn insert(&mut self, id: TransferId, at: Timestamp) -> UndoId {
        let undo = UndoId { max: self.max, max_burnt: self.max_burnt };
        if id > self.max {
            self.max = id;
            self.rising.push_back((id, at));
        } else {
            self.young.insert(id, at);
            self.young_max = self.young_max.max(id);
        }
        undo
    }

    pub(super) fn burn(&mut self, id: TransferId) -> UndoId {
        let undo = UndoId { max: self.max, max_burnt: self.max_burnt };
        self.max_burnt = self.max_burnt.max(id);
        self.young.insert(id, Timestamp::ZERO);
        self.young_max = self.young_max.max(id);
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

    /// A transfer of the file that the index lags.
    pub(super) fn replay(&mut self, id: TransferId, at: Timestamp, scattered: bool) {
        if scattered {
            self.young.insert(id, at);
            self.young_max = self.young_max.max(id);
        } else {
            self.rising.push_back((id, at));
            self.max = self.max.max(id);
        }
        self.young_span += 1;
    }

    /// Whether a run may hold the id.
    pub(super) fn may_be_in_run(&self, id: TransferId) -> bool {
        self.in_runs.is_some_and(|(lowest, highest)| lowest <= id && id <= highest)
    }

    /// There is a run from one id to another.
    pub(super) fn widen_runs(&mut self, first: TransferId, last: TransferId) {
        let (lowest, highest) = self.in_runs.unwrap_or((first, last));
        self.in_runs = Some((lowest.min(first), highest.max(last)));
    }

    /// So many ids of the replay are gathered.
    pub(super) fn replayed(&mut self, gathered: usize) {
        self.gathered = gathered;
    }

    /// What the next commit, of so many transfers, does to the index; `now` is the end of what it holds.
    fn advance(&mut self, seq: CommitSeq, transfers: usize, scattered: usize, now: IndexedTo) -> Advance {
        let mut advance = Advance::default();
        if let Some(sealed) = &mut self.sealed
            && sealed.left > 0
        {
            // Fast enough to be done before the young generation is full, whatever fills it.
            let share = (sealed.count * transfers).div_ceil(self.generation / 2);
            advance.write = share.max(scattered * 2).min(sealed.left);
            sealed.left -= advance.write;
            sealed.written_by = seq;
        }
        self.young_span += transfers;
        self.gathered += scattered;
        if self.gathered == 0 {
            (self.young_from, self.young_span) = (now, 0); // Nothing lags.
        }
        let full = self.gathered >= self.generation || self.young_span >= self.generation;
        if self.sealed.is_none() && full {
            advance.seal = true;
            let ids = std::mem::take(&mut self.young);
            let count = std::mem::take(&mut self.gathered);
            self.sealed = Some(Sealed { ids, count, from: self.young_from, left: count, written_by: seq });
            self.young_from = now;
            self.young_span = 0;
        }
        advance.indexed = match &self.sealed {
            Some(sealed) if sealed.left > 0 => sealed.from,
            _ => self.young_from,
        };
        advance
    }

    /// Forgets the sealed generation once it is on disk.
    pub(super) fn handle_durable(&mut self, seq: CommitSeq) {
        if self.sealed.as_ref().is_some_and(|sealed| sealed.left == 0 && sealed.written_by <= seq) {
            self.sealed = None;
            self.only_on_disk = self.only_on_disk.max(self.young_max);
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

/// One commit's step of the index.
#[derive(Clone, Copy, Debug, Default)]
struct Advance {
    /// How many of the sealed ids it writes.
    write: usize,
    /// What was gathered, this commit's ids included, is sealed after it.
    seal: bool,
    indexed: IndexedTo,
}

/// The part of a commit that goes into the id index.
#[derive(Debug, Default)]
pub(super) struct IdChanges {
    /// Runs are written at once, scattered ids gathered. Timestamp 0: burnt.
    pub(super) cut: Cut,
    /// How many of the sealed ids to write.
    write: usize,
    /// Then seal what was gathered.
    seal: bool,
    /// How far the index reaches after this commit.
    pub(super) indexed: IndexedTo,
}

impl IdChanges {
    /// Index entries for the transfers of `entries` and for burnt ids; `burnt_total` is with them.
    pub(super) fn collect(
        (ids, runs): (&mut Ids, &mut Runs),
        seq: CommitSeq,
        entries: &[Entry],
        burnt: &[TransferId],
        burnt_total: u64,
    ) -> Self {
        let mut cut = Cut::default();
        let mut transfers = 0;
        for entry in entries.iter().filter(|entry| entry.transfer.id != TransferId::ZERO) {
            transfers += 1;
            runs.push(entry.transfer.id, entry.timestamp(), &mut cut);
        }
        cut.scattered.extend(burnt.iter().map(|id| (*id, Timestamp::ZERO)));
        cut.runs.iter().for_each(|run| ids.widen_runs(run.first_id, run.last_id));
        let finished = runs.finished_to();
        let now = IndexedTo { transfers: finished, burnt: burnt_total };
        let step = ids.advance(seq, transfers + burnt.len(), cut.scattered.len(), now);
        let mut indexed = step.indexed;
        if finished.at < indexed.transfers.at {
            indexed.transfers = finished;
        }
        Self { cut, write: step.write, seal: step.seal, indexed }
    }
}

type Indexed = (TransferId, Timestamp);

/// Gathered ids that are sorted together.
const CHUNK: usize = 4096;

/// The disk's side: what is gathered, and what is being written in order of id.
///
/// Half a million ids take 40 ms to sort. So they are sorted in chunks, as they come, and merged by the commits that write them.
#[derive(Debug, Default)]
pub(super) struct IdWriter {
    /// All but the last chunk are full, and in order.
    gathered: Vec<Vec<Indexed>>,
    sealed: Vec<std::vec::IntoIter<Indexed>>,
    /// The next of each sealed chunk, with the chunk's place.
    heads: BinaryHeap<Reverse<(Indexed, usize)>>,
}

impl IdWriter {
    /// Continues with what the index lags.
    pub(super) fn resume(gathered: &[Indexed]) -> Self {
        let mut writer = Self::default();
        writer.extend(gathered);
        writer
    }

    fn extend(&mut self, ids: &[Indexed]) {
        for id in ids {
            match self.gathered.last_mut() {
                Some(chunk) if chunk.len() < CHUNK => {
                    chunk.push(*id);
                    if chunk.len() == CHUNK {
                        chunk.sort_unstable();
                    }
                }
                _ => self.gathered.push(vec![*id]),
            }
        }
    }

    /// The entries to write with a commit.
    pub(super) fn next(&mut self, changes: &IdChanges) -> Vec<Indexed> {
        let mut entries = Vec::with_capacity(changes.write);
        while entries.len() < changes.write {
            let mut head = self.heads.peek_mut().expect("no more is written than was sealed");
            let Reverse((next, chunk)) = &mut *head;
            entries.push(*next);
            match self.sealed[*chunk].next() {
                Some(after) => *next = after,
                None => {
                    PeekMut::pop(head);
                }
            }
        }
        entries
    }

    /// After those are written.
    pub(super) fn gather(&mut self, changes: &IdChanges) {
        self.extend(&changes.cut.scattered);
        if changes.seal {
            assert!(self.heads.is_empty(), "a generation is written before the next is sealed");
            self.gathered.last_mut().into_iter().for_each(|chunk| chunk.sort_unstable());
            self.sealed = std::mem::take(&mut self.gathered).into_iter().map(Vec::into_iter).collect();
            let heads = self.sealed.iter_mut().enumerate();
            self.heads = heads.filter_map(|(place, chunk)| Some(Reverse((chunk.next()?, place)))).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_ids_are_written_in_order_a_few_with_each_commit() {
        let id = |n: u64| (TransferId(u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64), Timestamp(n));
        let mut ids: Vec<Indexed> = (0..9000).map(id).collect();
        let mut writer = IdWriter::resume(&ids[..2000]);
        let cut = Cut { scattered: ids[2000..].to_vec(), ..Cut::default() };
        writer.gather(&IdChanges { cut, seal: true, ..IdChanges::default() });
        // What comes now is the next generation's.
        let cut = Cut { scattered: vec![id(0), id(1)], ..Cut::default() };
        writer.gather(&IdChanges { cut, ..IdChanges::default() });
        let mut written = Vec::new();
        for write in [0, 1, 999, 3000, 5000] {
            let entries = writer.next(&IdChanges { write, ..IdChanges::default() });
            assert_eq!(entries.len(), write);
            written.extend(entries);
        }
        ids.sort_unstable();
        assert_eq!(written, ids);
        writer.gather(&IdChanges { seal: true, ..IdChanges::default() });
        let mut next = [id(0), id(1)];
        next.sort_unstable();
        assert_eq!(writer.next(&IdChanges { write: 2, ..IdChanges::default() }), next);
    }
}
