//! A list of transfers that must be in a file: what somebody was told, held against what is there.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use hundi_ledger::{QueryFilter, Reads as _, Timestamp};

use super::file::Opened;
use crate::console;
use crate::failure::{Exit, Failure, While as _};

/// Transfers read from the file at a time.
const AT_ONCE: u32 = 1 << 16;

/// Ids, and the line of each.
pub(super) struct List {
    path: PathBuf,
    lines: u64,
    line_of: HashMap<u128, u64>,
}

/// Reads a list: one id a line, in 32 hexadecimal digits. Half a line at the end is what a killed writer leaves, and no
/// promise. A list without an id is refused: it would promise nothing, and pass.
pub(super) fn read(path: &Path) -> Result<List, Failure> {
    let cannot = || format!("cannot read {}", path.display());
    let mut input = BufReader::new(File::open(path).or_fail(cannot)?);
    let mut list = List { path: path.to_owned(), lines: 0, line_of: HashMap::new() };
    let (mut line, mut unfinished) = (Vec::new(), false);
    while input.read_until(b'\n', &mut line).or_fail(cannot)? > 0 {
        let number = list.lines + 1;
        match parse(line.trim_ascii_end()) {
            Some(id) => {
                list.line_of.entry(id).or_insert(number);
            }
            None if !line.ends_with(b"\n") => {
                unfinished = true;
                break;
            }
            None => {
                return Err(Failure::input(format_args!(
                    "{}, line {number}: not an id of 32 hexadecimal digits, as `hundi bench ledger --acknowledged` writes them",
                    path.display()
                )));
            }
        }
        list.lines = number;
        line.clear();
    }
    if list.lines == 0 {
        return Err(Failure::input(format_args!(
            "{}: no id in it, so there is nothing to look for; without --holds the file alone is verified",
            path.display()
        )));
    }
    if unfinished {
        console::note(format_args!("{}, line {}: unfinished, left out", path.display(), list.lines + 1));
    }
    Ok(list)
}

fn parse(line: &[u8]) -> Option<u128> {
    let is_id = line.len() == 32 && line.iter().all(u8::is_ascii_hexdigit);
    if is_id { u128::from_str_radix(str::from_utf8(line).ok()?, 16).ok() } else { None }
}

/// Whether all of the list are in the file; how many lines it has.
pub(super) fn check(opened: &Opened, mut list: List) -> Result<u64, Failure> {
    let mut filter = QueryFilter::all(AT_ONCE);
    loop {
        let transfers = opened.ledger.query_transfers(&filter).map_err(|error| opened.failed(&error))?;
        for transfer in &transfers {
            list.line_of.remove(&transfer.id.0);
        }
        match transfers.last() {
            Some(last) if transfers.len() == AT_ONCE as usize && last.timestamp < Timestamp::LAST => {
                filter.timestamp_min = Timestamp(last.timestamp.0 + 1);
            }
            _ => break,
        }
    }
    let missing = list.line_of.len();
    match list.line_of.into_iter().min_by_key(|(_, line)| *line) {
        None => Ok(list.lines),
        Some((id, line)) => Err(Failure::new(
            Exit::No,
            format_args!(
                "{}: transfer {id:032x} is not in it, which is line {line} of {}; {missing} of {} are missing",
                opened.path().display(),
                list.path.display(),
                list.lines
            ),
        )),
    }
}
