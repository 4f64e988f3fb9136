//! A fast hash for ids, keyed at random so that a caller cannot choose ids that collide.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

/// Makes [`IdHasher`]s of one key.
#[derive(Clone, Debug)]
pub(super) struct IdHash {
    key: [u64; 2],
}

impl Default for IdHash {
    fn default() -> Self {
        let random = RandomState::new();
        Self { key: [random.hash_one(1_u8), random.hash_one(2_u8) | 1] }
    }
}

impl BuildHasher for IdHash {
    type Hasher = IdHasher;
    fn build_hasher(&self) -> IdHasher {
        IdHasher { key: self.key, state: self.key[0] }
    }
}

/// Folds each word in by one wide multiplication.
#[derive(Debug)]
pub(super) struct IdHasher {
    key: [u64; 2],
    state: u64,
}

impl IdHasher {
    fn fold(&mut self, low: u64, high: u64) {
        let product = u128::from(low ^ self.state) * u128::from(high ^ self.key[1]);
        self.state = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.state
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.fold(u64::from_le_bytes(word), chunk.len() as u64);
        }
    }
    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }
    fn write_u64(&mut self, number: u64) {
        self.fold(number, 0x9e37_79b9_7f4a_7c15);
    }
    fn write_u128(&mut self, number: u128) {
        self.fold(number as u64, (number >> 64) as u64);
    }
}

/// A map by id.
pub(super) type IdMap<K, V> = std::collections::HashMap<K, V, IdHash>;

/// Parts of an [`IdParts`].
const PARTS: usize = 256;

/// A large map by id, in parts that grow one by one: a map in one piece moves all of its ids at once when it grows, into
/// memory that is new.
#[derive(Debug)]
pub(super) struct IdParts<K, V> {
    hash: IdHash,
    /// None until the first insert.
    parts: Vec<IdMap<K, V>>,
}

impl<K, V> Default for IdParts<K, V> {
    fn default() -> Self {
        Self { hash: IdHash::default(), parts: Vec::new() }
    }
}

impl<K: Hash + Eq, V> IdParts<K, V> {
    pub(super) fn get(&self, id: &K) -> Option<&V> {
        self.parts.get(self.part(id))?.get(id)
    }

    pub(super) fn insert(&mut self, id: K, value: V) {
        if self.parts.is_empty() {
            self.parts.resize_with(PARTS, || IdMap::with_hasher(self.hash.clone()));
        }
        let part = self.part(&id);
        self.parts[part].insert(id, value);
    }

    pub(super) fn remove(&mut self, id: &K) {
        let part = self.part(id);
        if let Some(part) = self.parts.get_mut(part) {
            part.remove(id);
        }
    }

    /// By bits of the hash from its middle: a map uses those at both ends.
    fn part(&self, id: &K) -> usize {
        (self.hash.hash_one(id) >> 40) as usize % PARTS
    }
}
