//! Small pieces of the binary forms: fixed-size bytes through serde, and the canonical fields that are signed.

use crate::name::BankName;

/// Serde for `[u8; N]`: hex in human-readable formats, one copy of the bytes in binary ones.
pub(crate) mod fixed {
    use std::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() {
            s.serialize_str(&crate::value::hex(bytes))
        } else {
            s.serialize_bytes(bytes)
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(d: D) -> Result<[u8; N], D::Error> {
        struct Fixed<const N: usize>;
        impl<const N: usize> Visitor<'_> for Fixed<N> {
            type Value = [u8; N];
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{N} bytes")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<[u8; N], E> {
                crate::value::unhex(text)
                    .ok_or_else(|| E::custom(format_args!("expected {N} bytes in lower-case hex")))
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<[u8; N], E> {
                bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))
            }
        }
        if d.is_human_readable() { d.deserialize_str(Fixed) } else { d.deserialize_bytes(Fixed) }
    }
}

/// Writes a name as it is signed: one byte of length, then the bytes.
pub(crate) fn write_name(out: &mut Vec<u8>, bank: &BankName) {
    let name = bank.as_str().as_bytes();
    // A name has at most 63 bytes, by construction.
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(name);
}

/// Serde for a Merkle path: the hashes behind one another, as one run of bytes.
pub(crate) mod path {
    use std::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    use crate::merkle::{Hash, PATH_LEN_MAX};

    pub(crate) fn serialize<S: Serializer>(path: &[Hash], s: S) -> Result<S::Ok, S::Error> {
        let bytes = path.as_flattened();
        if s.is_human_readable() {
            s.serialize_str(&crate::value::hex(bytes))
        } else {
            s.serialize_bytes(bytes)
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Box<[Hash]>, D::Error> {
        struct Path;
        impl Visitor<'_> for Path {
            type Value = Box<[Hash]>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {PATH_LEN_MAX} hashes")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                let digits = text.as_bytes().chunks(64);
                if digits.len() > PATH_LEN_MAX {
                    return Err(E::invalid_length(text.len(), &self));
                }
                digits
                    .map(|digits| std::str::from_utf8(digits).ok().and_then(crate::value::unhex))
                    .collect::<Option<_>>()
                    .ok_or_else(|| E::custom("expected hashes in lower-case hex"))
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                match bytes.as_chunks::<32>() {
                    (hashes, []) if hashes.len() <= PATH_LEN_MAX => Ok(hashes.into()),
                    _ => Err(E::invalid_length(bytes.len(), &self)),
                }
            }
        }
        if d.is_human_readable() { d.deserialize_str(Path) } else { d.deserialize_bytes(Path) }
    }
}

/// Serde for the votes beside an order: a list that is refused when it is longer than any order's can be.
pub(crate) mod votes {
    use std::fmt;

    use serde::de::{Error, SeqAccess, Visitor};
    use serde::{Deserializer, Serialize, Serializer};

    use crate::certificate::VOTES_MAX;
    use crate::signed::Signed;
    use crate::vote::Vote;

    pub(crate) fn serialize<S: Serializer>(votes: &[Signed<Vote>], s: S) -> Result<S::Ok, S::Error> {
        votes.serialize(s)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Signed<Vote>>, D::Error> {
        struct Votes;
        impl<'de> Visitor<'de> for Votes {
            type Value = Vec<Signed<Vote>>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {VOTES_MAX} votes")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut votes = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(VOTES_MAX));
                while let Some(vote) = seq.next_element()? {
                    if votes.len() == VOTES_MAX {
                        return Err(A::Error::invalid_length(votes.len() + 1, &self));
                    }
                    votes.push(vote);
                }
                Ok(votes)
            }
        }
        d.deserialize_seq(Votes)
    }
}
