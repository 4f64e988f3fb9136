//! Statements of banks: signed in batches, verified once, provable alone.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::hash::{Hash as StdHash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::keys::{BankKey, PublicKey};
use crate::merkle::{self, BATCH_SIZE_MAX, Climb, Hash, Tree};
use crate::name::BankName;
use crate::vote::{Ack, Vote};
use crate::wire::{fixed, write_name};

/// What the signature over a batch begins with.
const BATCH_DOMAIN: &[u8] = b"hundi/batch/v1";

/// Something that a bank states and signs. Only statements are signed: everything else that is sent either
/// carries statements and orders, or asks for them.
pub trait Statement: Clone + Eq + Ord + StdHash + fmt::Debug {
    /// Keeps the kinds of statement apart in the signed bytes.
    const DOMAIN: &'static str;
    /// Whose statement it is: the only bank whose signature counts for it.
    fn bank(&self) -> &BankName;
    /// Appends the one byte form that is signed.
    fn write_canonical(&self, out: &mut Vec<u8>);
}

/// How a statement is tied to a signature: its place in a batch, the path to the root, the signature over the root.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Proof {
    #[serde(with = "fixed")]
    signature: [u8; 64],
    index: u32,
    count: u32,
    #[serde(with = "crate::wire::path")]
    path: Box<[Hash]>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Evidence<T> {
    statement: T,
    proof: Proof,
}

/// A statement with the proof that its bank made it, *not yet checked*. Cheap to clone.
#[derive(Clone)]
pub struct Signed<T>(Arc<Evidence<T>>);

impl<T: Statement> Signed<T> {
    /// What is stated, by whoever it was: check with [`Verifier::verify`] before believing it.
    #[must_use]
    pub fn unverified(&self) -> &T {
        &self.0.statement
    }

    /// The statement as a leaf of its batch.
    fn leaf(&self) -> Hash {
        let mut canonical = Vec::with_capacity(128);
        self.0.statement.write_canonical(&mut canonical);
        merkle::leaf(T::DOMAIN, &canonical)
    }
}

impl<T: fmt::Debug> fmt::Debug for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signed").field(&self.0.statement).finish()
    }
}

/// Equal when statement and proof are.
impl<T: PartialEq> PartialEq for Signed<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.statement == other.0.statement && self.0.proof == other.0.proof)
    }
}
impl<T: Eq> Eq for Signed<T> {}

impl<T: Serialize> Serialize for Signed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Signed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Evidence::deserialize(deserializer).map(|evidence| Self(Arc::new(evidence)))
    }
}

/// A statement that its bank made, for certain: the only makers are [`Verifier::verify`] and the bank's own [`Signer`].
///
/// Compared, ordered and hashed by the statement alone: two proofs of one statement are one fact.
pub struct Verified<T>(Signed<T>);

impl<T: Statement> Verified<T> {
    /// What is stated.
    #[must_use]
    pub fn statement(&self) -> &T {
        &self.0.0.statement
    }

    /// The statement with its proof, to send or store.
    #[must_use]
    pub fn signed(&self) -> &Signed<T> {
        &self.0
    }
}

impl<T> Clone for Verified<T> {
    fn clone(&self) -> Self {
        Self(Signed(Arc::clone(&self.0.0)))
    }
}
impl<T: Statement> PartialEq for Verified<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0.0, &other.0.0) || self.statement() == other.statement()
    }
}
impl<T: Statement> Eq for Verified<T> {}
impl<T: Statement> PartialOrd for Verified<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T: Statement> Ord for Verified<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.statement().cmp(other.statement())
    }
}
impl<T: Statement> StdHash for Verified<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.statement().hash(state);
    }
}
impl<T: Statement> fmt::Debug for Verified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Verified").field(self.statement()).finish()
    }
}

/// domain (14) · length of the name (1) · name · leaves (4, big-endian) · root (32).
fn batch_message(bank: &BankName, count: u32, root: &Hash) -> Vec<u8> {
    let mut message = Vec::with_capacity(128);
    message.extend_from_slice(BATCH_DOMAIN);
    write_name(&mut message, bank);
    message.extend_from_slice(&count.to_be_bytes());
    message.extend_from_slice(root);
    message
}

/// A bank's hand: signs its own statements, one signature for each batch.
#[derive(Debug)]
pub struct Signer {
    bank: BankName,
    key: BankKey,
}

impl Signer {
    /// Signs as `bank` with its key.
    #[must_use]
    pub fn new(bank: BankName, key: BankKey) -> Self {
        Self { bank, key }
    }

    /// As whom.
    #[must_use]
    pub fn bank(&self) -> &BankName {
        &self.bank
    }

    /// What the others need in their [`Directory`].
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.key.public()
    }

    /// Signs a batch: ONE Ed25519 signature per call (per 65,536 statements).
    ///
    /// # Panics
    /// When a statement is another bank's: that is a fault of the program, and must not get a signature.
    #[must_use]
    pub fn sign_batch<T: Statement>(&self, statements: Vec<T>) -> Vec<Signed<T>> {
        self.sign_own(statements).into_iter().map(|verified| verified.0).collect()
    }

    /// [`Signer::sign_batch`], keeping the knowledge that one's own signature is good.
    ///
    /// # Panics
    /// As [`Signer::sign_batch`].
    #[must_use]
    pub fn sign_own<T: Statement>(&self, mut statements: Vec<T>) -> Vec<Verified<T>> {
        let mut signed = Vec::with_capacity(statements.len());
        while !statements.is_empty() {
            let rest = statements.split_off(statements.len().min(BATCH_SIZE_MAX));
            let batch = self.seal(statements.iter().map(|s| self.leaf(s)).collect());
            signed
                .extend(statements.into_iter().enumerate().map(|(i, statement)| batch.attach(i, statement)));
            statements = rest;
        }
        signed
    }

    /// Signs what one disk write justifies, votes and acknowledgements together, with one signature.
    ///
    /// # Panics
    /// As [`Signer::sign_batch`].
    #[must_use]
    pub fn sign_write(&self, votes: Vec<Vote>, acks: Vec<Ack>) -> (Vec<Verified<Vote>>, Vec<Verified<Ack>>) {
        let count = votes.len() + acks.len();
        if count == 0 || count > BATCH_SIZE_MAX {
            return (self.sign_own(votes), self.sign_own(acks));
        }
        let leaves = votes.iter().map(|v| self.leaf(v)).chain(acks.iter().map(|a| self.leaf(a)));
        let batch = self.seal(leaves.collect());
        let first_ack = votes.len();
        (
            votes.into_iter().enumerate().map(|(i, vote)| batch.attach(i, vote)).collect(),
            acks.into_iter().enumerate().map(|(i, ack)| batch.attach(first_ack + i, ack)).collect(),
        )
    }

    fn leaf<T: Statement>(&self, statement: &T) -> Hash {
        assert_eq!(statement.bank(), &self.bank, "a bank signs only for itself");
        let mut canonical = Vec::with_capacity(128);
        statement.write_canonical(&mut canonical);
        merkle::leaf(T::DOMAIN, &canonical)
    }

    fn seal(&self, leaves: Vec<Hash>) -> Batch {
        let count = u32::try_from(leaves.len()).ok();
        let (Some(count), Some(tree)) = (count, Tree::new(leaves)) else {
            unreachable!("callers seal between 1 and BATCH_SIZE_MAX leaves");
        };
        let signature = self.key.sign(&batch_message(&self.bank, count, &tree.root()));
        Batch { tree, count, signature }
    }
}

/// A signed tree, from which proofs are cut.
struct Batch {
    tree: Tree,
    count: u32,
    signature: [u8; 64],
}

impl Batch {
    fn attach<T>(&self, index: usize, statement: T) -> Verified<T> {
        let path = self.tree.path(index).into_boxed_slice();
        // At most BATCH_SIZE_MAX leaves, so the index fits.
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let proof = Proof { signature: self.signature, index, count: self.count, path };
        Verified(Signed(Arc::new(Evidence { statement, proof })))
    }
}

/// The public keys of the network's banks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    banks: BTreeMap<BankName, PublicKey>,
}

impl Directory {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters a bank; returns the key that it had before, if any.
    pub fn insert(&mut self, bank: BankName, key: PublicKey) -> Option<PublicKey> {
        self.banks.insert(bank, key)
    }

    /// The key of a bank.
    #[must_use]
    pub fn get(&self, bank: &BankName) -> Option<&PublicKey> {
        self.banks.get(bank)
    }

    /// All banks, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&BankName, &PublicKey)> {
        self.banks.iter()
    }
}

impl FromIterator<(BankName, PublicKey)> for Directory {
    fn from_iter<I: IntoIterator<Item = (BankName, PublicKey)>>(banks: I) -> Self {
        Self { banks: banks.into_iter().collect() }
    }
}

/// Why a signed statement proves nothing. Whoever sent it is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadProof {
    /// The directory has no such bank.
    #[error("bank {0} is not in the directory")]
    UnknownBank(BankName),
    /// The path does not fit the place in the batch.
    #[error("the path of a statement of {0} does not fit its batch")]
    BadPath(BankName),
    /// The signature over the batch is not that bank's.
    #[error("the signature on a statement of {0} does not verify")]
    BadSignature(BankName),
}

/// How many verified batches are remembered for each bank.
const ROOTS_PER_BANK_MAX: usize = 1024;

/// Verified batches of one bank, oldest forgotten first. Apart per bank, so that none can push out another's.
#[derive(Debug, Default)]
struct VerifiedRoots {
    /// Root → what was verified with it. The signature belongs to the fact: a good root with another signature
    /// would be evidence that nobody else accepts.
    seen: HashMap<Hash, (u32, [u8; 64])>,
    oldest: VecDeque<Hash>,
    /// The last statement that was accepted, and the signature over its batch: the next is often its neighbour.
    last: Option<([u8; 64], Climb)>,
}

impl VerifiedRoots {
    /// Whether a statement is one of the batch of the last.
    fn follow(&mut self, leaf: Hash, proof: &Proof) -> bool {
        self.last.as_mut().is_some_and(|(signature, climb)| {
            *signature == proof.signature && climb.follow(leaf, proof.index, proof.count, &proof.path)
        })
    }

    fn is_seen(&self, root: &Hash, fact: (u32, [u8; 64])) -> bool {
        self.seen.get(root) == Some(&fact)
    }

    fn remember(&mut self, fact: (u32, [u8; 64]), climb: Climb) {
        let root = climb.root();
        if self.seen.insert(root, fact).is_none() {
            self.oldest.push_back(root);
        }
        if self.oldest.len() > ROOTS_PER_BANK_MAX
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.seen.remove(&oldest);
        }
        self.last = Some((fact.1, climb));
    }
}

/// Checks statements against a [`Directory`], each batch's signature once.
#[derive(Debug)]
pub struct Verifier {
    directory: Directory,
    roots: BTreeMap<BankName, VerifiedRoots>,
}

impl Verifier {
    /// Checks against these keys.
    #[must_use]
    pub fn new(directory: Directory) -> Self {
        Self { directory, roots: BTreeMap::new() }
    }

    /// The keys.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Takes note of a batch that one statement shows to be good, such as one of one's own: the others of it need no look at
    /// the signature.
    pub fn remember<T: Statement>(&mut self, known: &Verified<T>) {
        let (leaf, proof) = (known.0.leaf(), &known.0.0.proof);
        let Some(climb) = Climb::new(leaf, proof.index, proof.count, &proof.path) else { return };
        let roots = self.roots.entry(known.statement().bank().clone()).or_default();
        roots.remember((proof.count, proof.signature), climb);
    }

    /// Checks that the bank named in the statement signed it.
    ///
    /// # Errors
    /// [`BadProof`].
    pub fn verify<T: Statement>(&mut self, signed: Signed<T>) -> Result<Verified<T>, BadProof> {
        let bank = signed.unverified().bank();
        let Some(key) = self.directory.get(bank) else { return Err(BadProof::UnknownBank(bank.clone())) };
        let (leaf, proof) = (signed.leaf(), &signed.0.proof);
        let roots = match self.roots.get_mut(bank) {
            Some(roots) => roots,
            None => self.roots.entry(bank.clone()).or_default(),
        };
        if roots.follow(leaf, proof) {
            return Ok(Verified(signed));
        }
        let Some(climb) = Climb::new(leaf, proof.index, proof.count, &proof.path) else {
            return Err(BadProof::BadPath(bank.clone()));
        };
        let fact = (proof.count, proof.signature);
        if !roots.is_seen(&climb.root(), fact) {
            key.verify(&batch_message(bank, proof.count, &climb.root()), &proof.signature)
                .map_err(|_| BadProof::BadSignature(bank.clone()))?;
        }
        roots.remember(fact, climb);
        Ok(Verified(signed))
    }
}
