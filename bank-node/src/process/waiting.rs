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
        // Nanoseconds on a processor, nanoseconds waiting for one, number of turns.
        let waited = std::str::from_utf8(&text[..size]).ok()?.split_ascii_whitespace().nth(1)?;
        Some(Duration::from_nanos(waited.parse().ok()?))
    };
    COUNTS.with(|file| file.as_ref().and_then(read)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_only_grows() {
        let before = waited_for_processor();
        std::thread::yield_now();
        assert!(waited_for_processor() >= before);
    }
}
