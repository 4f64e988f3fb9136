//! The hash tree that lets one signature cover a batch.
//!
//! The shape is that of RFC 9162 (Certificate Transparency): a node without a sibling moves up unchanged. Leaves and
//! nodes are hashed under different prefixes, so neither can stand for the other.

use sha2::{Digest as _, Sha256};

/// A SHA-256 hash.
pub(crate) type Hash = [u8; 32];

/// The most leaves of one tree; a path then has at most 16 hashes.
pub const BATCH_SIZE_MAX: usize = 1 << 16;
/// The most hashes of a path: log₂ of [`BATCH_SIZE_MAX`].
pub(crate) const PATH_LEN_MAX: usize = 16;

const LEAF_PREFIX: u8 = 0;
const NODE_PREFIX: u8 = 1;

/// SHA-256(0x00 · length of the domain (1) · domain · canonical bytes).
pub(crate) fn leaf(domain: &str, canonical: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    // Domains are constants of this crate, far below 256 bytes.
    hash.update([LEAF_PREFIX, u8::try_from(domain.len()).unwrap_or(u8::MAX)]);
    hash.update(domain.as_bytes());
    hash.update(canonical);
    hash.finalize().into()
}

/// SHA-256(0x01 · left · right).
fn node(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [NODE_PREFIX; 65];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    Sha256::digest(bytes).into()
}

/// All levels of a tree, leaves first.
pub(crate) struct Tree {
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// Builds the tree; `None` for no leaves or more than [`BATCH_SIZE_MAX`].
    pub(crate) fn new(leaves: Vec<Hash>) -> Option<Self> {
        if leaves.is_empty() || leaves.len() > BATCH_SIZE_MAX {
            return None;
        }
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let up = below.chunks(2).map(|pair| match pair {
                [left, right] => node(left, right),
                alone => alone[0],
            });
            let up = up.collect();
            levels.push(up);
        }
        Some(Self { levels })
    }

    pub(crate) fn root(&self) -> Hash {
        self.levels[self.levels.len() - 1][0]
    }

    /// The siblings on the way from a leaf to the root.
    pub(crate) fn path(&self, index: usize) -> Vec<Hash> {
        let below_root = &self.levels[..self.levels.len() - 1];
        let mut path = Vec::with_capacity(below_root.len());
        path.extend(
            below_root
                .iter()
                .enumerate()
                .filter_map(|(height, level)| level.get((index >> height) ^ 1).copied()),
        );
        path
    }
}

/// The root that a leaf and its path lead to; `None` when the path does not fit the leaf's place in the tree.
pub(crate) fn root_of(leaf: Hash, index: u32, count: u32, path: &[Hash]) -> Option<Hash> {
    if index >= count {
        return None;
    }
    let (mut index, mut last) = (index, count - 1);
    let mut hash = leaf;
    let mut path = path.iter();
    while last > 0 {
        if index & 1 == 1 {
            hash = node(path.next()?, &hash);
        } else if index < last {
            hash = node(&hash, path.next()?);
        }
        index >>= 1;
        last >>= 1;
    }
    path.next().is_none().then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_leaf_of_every_shape_leads_to_the_root_and_only_from_its_place() {
        for count in 1..=33u32 {
            let leaves: Vec<Hash> = (0..count).map(|i| leaf("test", &i.to_be_bytes())).collect();
            let tree = Tree::new(leaves.clone()).unwrap();
            for index in 0..count {
                let path = tree.path(index as usize);
                let hash = leaves[index as usize];
                assert_eq!(root_of(hash, index, count, &path), Some(tree.root()));
                for other in (0..count).filter(|other| *other != index) {
                    assert_ne!(
                        root_of(hash, other, count, &path),
                        Some(tree.root()),
                        "{index} as {other} of {count}"
                    );
                }
                assert_eq!(root_of(hash, index, 0, &path), None);
                let mut longer = path.clone();
                longer.push([0; 32]);
                assert_eq!(root_of(hash, index, count, &longer), None);
                if let Some((_, shorter)) = path.split_last() {
                    assert_eq!(root_of(hash, index, count, shorter), None);
                }
            }
        }
    }

    #[test]
    fn no_leaves_and_too_many_make_no_tree() {
        assert!(Tree::new(vec![]).is_none());
        assert!(Tree::new(vec![[0; 32]; BATCH_SIZE_MAX + 1]).is_none());
    }
}
