//! Room in the write-ahead log, made before it is needed.

use std::io::{self, Seek, SeekFrom, Write};

use super::log::LogFile;

/// Zeros that are written at a time.
const CHUNK: usize = 1 << 20;
/// A page of the file and its header in the log.
const FRAME: u64 = 4096 + 24;
/// A log up to this size grows as SQLite makes it grow.
const SMALL: u64 = 64 * 1024;
/// Room is made when less than this is left.
const ROOM_MIN: u64 = 128 * 1024;
/// Room that is made at once: as much as the log is long, within these bounds.
const GROWTH_MIN: u64 = 256 * 1024;
const GROWTH_MAX: u64 = 4 << 20;

/// Keeps the end of the log's file ahead of what is written, by zeros.
///
/// To sync bytes written over others is one write to the disk. A file that has grown needs its new length written
/// too, in the file system's own journal, which takes as long again, and far longer while others write. SQLite takes
/// zeros behind the log's end for what they are: a frame bears the number of its page, and there is no page 0.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Where the file ends.
    end: u64,
    /// The log needs no more, or it could not be given any.
    done: bool,
}

impl Room {
    /// The log is so many frames long, and will not grow beyond `frames_max` by much. Only the log's writer may call
    /// this, between its commits.
    pub(super) fn make(&mut self, log: &mut LogFile, frames: u64, frames_max: u64) {
        let at = frames * FRAME;
        if self.done || at < SMALL || at + ROOM_MIN <= self.end {
            return;
        }
        let growth = at.clamp(GROWTH_MIN, GROWTH_MAX);
        if let Err(error) = self.grow(log, at + growth) {
            // No harm: SQLite makes the file grow itself, or says why it cannot.
            tracing::debug!(%error, path = %log.path().display(), "no room made in the log");
            self.done = true;
        }
        self.done |= self.end >= frames_max * FRAME;
    }

    fn grow(&mut self, log: &mut LogFile, end: u64) -> io::Result<()> {
        let file = log.open()?;
        self.end = file.seek(SeekFrom::End(0))?;
        let zeros = vec![0; CHUNK.min(usize::try_from(end.saturating_sub(self.end)).unwrap_or(CHUNK))];
        while self.end < end {
            file.write_all(&zeros)?;
            self.end += zeros.len() as u64;
        }
        Ok(())
    }
}
