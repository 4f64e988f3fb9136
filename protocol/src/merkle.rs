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

/// The root that a leaf and its path lead to, said in the plainest way, to hold [`Climb`] against; `None` when the path does not fit the leaf's place in the tree.
#[cfg(test)]
fn root_of(leaf: Hash, index: u32, count: u32, path: &[Hash]) -> Option<Hash> {
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

/// The way from one leaf to the root, to check its neighbours by: they share most of it.
#[derive(Debug)]
pub(crate) struct Climb {
    index: u32,
    count: u32,
    path: Vec<Hash>,
    /// The hash at each height, from the leaf to the root.
    nodes: Vec<Hash>,
}

impl Climb {
    /// The way from a leaf with its path; `None` when the path does not fit the leaf's place in the tree.
    pub(crate) fn new(leaf: Hash, index: u32, count: u32, path: &[Hash]) -> Option<Self> {
        if index >= count {
            return None;
        }
        let mut steps = Steps { index, last: count - 1, path };
        let mut nodes = vec![leaf];
        let mut hash = leaf;
        while steps.last > 0 {
            hash = steps.up(&hash)?;
            nodes.push(hash);
        }
        steps.path.is_empty().then(|| Self { index, count, path: path.to_vec(), nodes })
    }

    /// Where it ends.
    pub(crate) fn root(&self) -> Hash {
        self.nodes[self.nodes.len() - 1]
    }

    /// Whether a leaf of the same tree leads to the same root. Hashes only up to where both
    /// ways meet: from there on the path must be the same, byte for byte. Goes on from the new leaf if it does.
    pub(crate) fn follow(&mut self, leaf: Hash, index: u32, count: u32, path: &[Hash]) -> bool {
        if index >= count || count != self.count {
            return false;
        }
        let mut steps = Steps { index, last: count - 1, path };
        let mut known = Steps { index: self.index, last: count - 1, path: &self.path };
        let mut below = [[0; 32]; u32::BITS as usize + 1]; // No tree that can be named is higher.
        let (mut hash, mut height) = (leaf, 0);
        while steps.index != known.index {
            below[height] = hash;
            let (Some(up), Some(_)) = (steps.up(&hash), known.skip()) else { return false };
            hash = up;
            height += 1;
        }
        if hash != self.nodes[height] || steps.path != known.path {
            return false;
        }
        self.nodes[..height].copy_from_slice(&below[..height]);
        self.index = index;
        self.path.clear();
        self.path.extend_from_slice(path);
        true
    }
}

/// A place on the way up: what is left of the path.
struct Steps<'a> {
    index: u32,
    last: u32,
    path: &'a [Hash],
}

impl Steps<'_> {
    /// One step, with the hash of this place; `None` when the path is too short.
    fn up(&mut self, hash: &Hash) -> Option<Hash> {
        let is_right = self.index & 1 == 1;
        let sibling = self.skip()?;
        Some(match sibling {
            Some(sibling) if is_right => node(&sibling, hash),
            Some(sibling) => node(hash, &sibling),
            None => *hash,
        })
    }

    /// One step without hashing: the sibling, if there is one.
    fn skip(&mut self) -> Option<Option<Hash>> {
        let has_sibling = self.index & 1 == 1 || self.index < self.last;
        self.index >>= 1;
        self.last >>= 1;
        if !has_sibling {
            return Some(None);
        }
        let (sibling, rest) = self.path.split_first()?;
        self.path = rest;
        Some(Some(*sibling))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_is_accepted_exactly_where_its_own_way_leads_to_the_root() {
        for count in 1..=33u32 {
            let leaves: Vec<Hash> = (0..count).map(|i| leaf("test", &i.to_be_bytes())).collect();
            let tree = Tree::new(leaves.clone()).unwrap();
            let climb = |i: u32| Climb::new(leaves[i as usize], i, count, &tree.path(i as usize)).unwrap();
            for from in 0..count {
                assert_eq!(climb(from).root(), tree.root());
                for to in 0..count {
                    let (leaf, path) = (leaves[to as usize], tree.path(to as usize));
                    let mut known = climb(from);
                    assert!(known.follow(leaf, to, count, &path), "{from} to {to} of {count}");
                    assert_eq!(root_of(leaf, to, count, &path), Some(known.root()));
                    assert_eq!(known.nodes, climb(to).nodes);
                    assert_eq!(known.path, path);
                    assert!(!climb(from).follow(leaf, to, count + 1, &path));
                    assert!(!climb(from).follow([7; 32], to, count, &path));
                    let mut longer = path.clone();
                    longer.push([0; 32]);
                    assert!(!climb(from).follow(leaf, to, count, &longer));
                    for at in 0..path.len() {
                        let mut wrong = path.clone();
                        wrong[at][0] ^= 1;
                        assert!(!climb(from).follow(leaf, to, count, &wrong));
                        assert!(!climb(from).follow(leaf, to, count, &path[..at]));
                    }
                    for other in (0..count).filter(|other| *other != to) {
                        assert!(!climb(from).follow(leaf, other, count, &path));
                    }
                }
            }
        }
    }

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
