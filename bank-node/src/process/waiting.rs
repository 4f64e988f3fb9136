//! How long a thread waited for a processor.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

thread_local! {
    /// What Linux counts of this thread; `None` elsewhere.
    static COUNTS: Option<File> = File::open("/proc/thread-self/schedstat").ok();
}

/// How long this thread could have run so far, and had no processor. Zero where the system does not tell.
pub(super) fn waited_for_processor() -> Duration {
    let read = |file: &File| {
        let mut text = [0; 96];
        let size = file.read_at(&mut text, 0).ok()?;
        waited_of(&text[..size])
    };
    COUNTS.with(|file| file.as_ref().and_then(read)).unwrap_or_default()
}

/// Of a line with nanoseconds on a processor, nanoseconds waiting for one, and the number of turns.
fn waited_of(line: &[u8]) -> Option<Duration> {
    let waited = std::str::from_utf8(line).ok()?.split_ascii_whitespace().nth(1)?;
    Some(Duration::from_nanos(waited.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_number_counts_and_anything_else_is_no_time() {
        assert_eq!(waited_of(b"614372 5000 3\n"), Some(Duration::from_nanos(5_000)));
        for odd in ["", "614372", "614372 -1 3", "614372 many 3"] {
            assert_eq!(waited_of(odd.as_bytes()), None, "{odd:?}");
        }
        assert_eq!(waited_of(b"1 \xff 2"), None);
    }
}
