//! Whether a write-ahead log lost frames that were once on disk.
//!
//! SQLite reads a log up to the first frame whose checksum does not fit and takes the rest for what a crash left of a
//! commit. A byte that went bad later looks the same, and everything behind it would be dropped without a word. But
//! behind an unfinished commit nothing more was written: if a later commit is there in full and another one begins behind
//! it, the frame before was good when those were written. (Within the last commit of a log damage cannot be told from
//! a crash.) The format: sqlite.org/fileformat2.html#the_write_ahead_log.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// The last bit says in which byte order checksums are computed.
const MAGIC: u32 = 0x377f_0682;

/// SQLite's running checksum.
type Checksum = (u32, u32);

/// The log's own header, or what is left of it.
struct Header {
    big_endian: bool,
    page_bytes: usize,
    /// Of the frames of this use of the log; `None` if the header cannot be trusted.
    salts: Option<[u8; 8]>,
    checksum: Checksum,
}

/// The first damaged frame of a log, from 1 (0: its header), with whole commits behind it; `None` if the log is good as far
/// as can be told, or there is none.
pub(super) fn first_damaged(log: &Path) -> io::Result<Option<u64>> {
    let file = match File::open(log) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut input = BufReader::with_capacity(1 << 20, file);
    let mut header = [0; HEADER_BYTES];
    if !read_whole(&mut input, &mut header)? {
        return Ok(None);
    }
    let Some(header) = Header::read(&header) else { return Ok(None) };
    let mut frame = vec![0; FRAME_HEADER_BYTES + header.page_bytes];
    let mut walk = Walk::new(&header);
    while read_whole(&mut input, &mut frame)? {
        if walk.frame(&frame) {
            return Ok(walk.damaged);
        }
    }
    Ok(None)
}

impl Header {
    /// `None` if not even the size of a page can be made out.
    fn read(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let magic = word(bytes, 0);
        let checksum = (word(bytes, 24), word(bytes, 28));
        let is_good = magic & !1 == MAGIC && sum((0, 0), &bytes[..24], magic & 1 != 0) == checksum;
        let big_endian = if is_good { magic & 1 != 0 } else { cfg!(target_endian = "big") };
        let page_bytes = usize::try_from(word(bytes, 8)).ok()?;
        let page_bytes = if is_good { page_bytes } else { PAGE_BYTES };
        let salts = is_good.then(|| eight(bytes, 16));
        (512..=65_536).contains(&page_bytes).then_some(Self { big_endian, page_bytes, salts, checksum })
    }
}

/// The size of the pages that the ledger makes; told by a good header.
const PAGE_BYTES: usize = 4096;

/// Along the frames: each has to follow from the checksum that the one before it bears.
struct Walk {
    big_endian: bool,
    salts: Option<[u8; 8]>,
    previous: Checksum,
    count: u64,
    damaged: Option<u64>,
    /// The page of a whole commit's last frame, after the damage.
    commit: Option<u32>,
}

impl Walk {
    fn new(header: &Header) -> Self {
        let damaged = if header.salts.is_none() { Some(0) } else { None };
        let Header { big_endian, salts, checksum, .. } = *header;
        Self { big_endian, salts, previous: checksum, count: 0, damaged, commit: None }
    }

    /// Takes the next frame; whether it shows that an earlier one was damaged.
    fn frame(&mut self, frame: &[u8]) -> bool {
        self.count += 1;
        let (page, pages_after_commit, salts) = (word(frame, 0), word(frame, 4), eight(frame, 8));
        let stored = (word(frame, 16), word(frame, 20));
        let same_use = self.salts.is_none_or(|known| known == salts);
        let follows = same_use && self.sum(frame) == stored;
        self.previous = stored;
        if !follows {
            self.damaged = self.damaged.or(Some(self.count));
            self.commit = None; // Older attempts at a commit may stand here, each behind a part of another.
            return false;
        }
        if self.damaged.is_none() {
            return false;
        }
        self.salts = Some(salts); // From a header that could not be read.
        // A commit's last frame may be there several times, to fill a sector.
        let begins_another = self.commit.is_some_and(|last| pages_after_commit == 0 || page != last);
        if pages_after_commit != 0 {
            self.commit = Some(page);
        }
        begins_another
    }

    fn sum(&self, frame: &[u8]) -> Checksum {
        let head = sum(self.previous, &frame[..8], self.big_endian);
        sum(head, &frame[FRAME_HEADER_BYTES..], self.big_endian)
    }
}

fn sum((mut first, mut second): Checksum, bytes: &[u8], big_endian: bool) -> Checksum {
    let number = |at: &[u8]| {
        let bytes = [at[0], at[1], at[2], at[3]];
        if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    };
    for pair in bytes.chunks_exact(8) {
        first = first.wrapping_add(number(pair)).wrapping_add(second);
        second = second.wrapping_add(number(&pair[4..])).wrapping_add(first);
    }
    (first, second)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn eight(bytes: &[u8], at: usize) -> [u8; 8] {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    eight
}

/// Fills the buffer; `false` at the end of the input, also in the middle.
fn read_whole(input: &mut impl Read, into: &mut [u8]) -> io::Result<bool> {
    match input.read_exact(into) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
