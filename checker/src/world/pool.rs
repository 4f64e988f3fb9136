//! A list that only grows, read without locks.

use std::sync::{Mutex, OnceLock};

const CHUNK: usize = 4096;
const CHUNKS: usize = 8192;

/// A part of the list, made when it is first needed.
type Chunk<T> = Box<[OnceLock<T>]>;

/// Values that get a number each and stay: many threads read while some add.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    chunks: Box<[OnceLock<Chunk<T>>]>,
    len: Mutex<usize>,
}

impl<T> Pool<T> {
    pub(crate) fn new() -> Self {
        Pool { chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect(), len: Mutex::new(0) }
    }

    /// Adds a value and gives its number.
    pub(crate) fn push(&self, value: T) -> u32 {
        let place = {
            let mut len = self.len.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            *len += 1;
            *len - 1
        };
        assert!(place < CHUNK * CHUNKS, "the configuration has too many node states");
        let chunk = self.chunks[place / CHUNK].get_or_init(|| (0..CHUNK).map(|_| OnceLock::new()).collect());
        assert!(chunk[place % CHUNK].set(value).is_ok(), "each place is filled once");
        u32::try_from(place).expect("bounded above")
    }

    pub(crate) fn get(&self, place: u32) -> &T {
        let place = place as usize;
        let chunk = self.chunks[place / CHUNK].get();
        chunk.and_then(|chunk| chunk[place % CHUNK].get()).expect("numbers come from this pool")
    }

    pub(crate) fn len(&self) -> usize {
        *self.len.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
