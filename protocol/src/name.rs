//! Names: of nodes, banks and accounts. All are validated once, where they enter, and cheap to clone. One of up to 23 bytes is
//! where it is used, without memory of its own: an order has six names, and each node reads it anew.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

/// The longest name of a node or bank, in bytes (also the limit of a DNS label).
pub const NODE_NAME_SIZE_MAX: usize = 63;
/// The longest name of an account, in bytes.
pub const ACCOUNT_NAME_SIZE_MAX: usize = 64;

/// A name that does not follow the rules; says which name, and the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad {kind} name {name:?}: {rule}")]
pub struct BadName {
    kind: &'static str,
    name: String,
    rule: &'static str,
}

fn bad(kind: &'static str, name: &str, rule: &'static str) -> BadName {
    // What a stranger sent may be long; the error shows the beginning.
    BadName { kind, name: name.chars().take(80).collect(), rule }
}

fn check_node(kind: &'static str, name: &str) -> Result<(), BadName> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=NODE_NAME_SIZE_MAX).contains(&name.len()) && name.bytes().all(allowed) {
        Ok(())
    } else {
        Err(bad(kind, name, "1 to 63 of a-z, 0-9 and -"))
    }
}

fn check_account(kind: &'static str, name: &str) -> Result<(), BadName> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if (1..=ACCOUNT_NAME_SIZE_MAX).contains(&name.len()) && name.bytes().all(allowed) {
        Ok(())
    } else {
        Err(bad(kind, name, "1 to 64 of A-Z, a-z, 0-9, . _ -"))
    }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(SmolStr);

        impl $type {
            /// Checks the name and keeps it.
            ///
            /// # Errors
            /// [`BadName`] when it is empty, too long or has another character in it.
            pub fn new(name: &str) -> Result<Self, BadName> {
                $check($kind, name)?;
                Ok(Self(SmolStr::new(name)))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = BadName;
            fn from_str(name: &str) -> Result<Self, BadName> {
                Self::new(name)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Name;
                impl Visitor<'_> for Name {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("a ", $kind, " name"))
                    }
                    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<$type, E> {
                        $type::new(name).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Name)
            }
        }
    };
}

name_type!(
    /// The name of a node of the network: 1 to 63 of `a-z`, `0-9`, `-`. Unique within a role.
    NodeName, "node", check_node
);
name_type!(
    /// The name of a bank; the same alphabet as [`NodeName`], and a bank's node has its name.
    BankName, "bank", check_node
);
name_type!(
    /// The name of an account within its bank: 1 to 64 of `A-Z`, `a-z`, `0-9`, `.`, `_`, `-`.
    AccountName, "account", check_account
);

impl From<BankName> for NodeName {
    fn from(bank: BankName) -> Self {
        Self(bank.0)
    }
}

impl NodeName {
    /// The same name, of a bank: the two alphabets are one.
    #[must_use]
    pub fn to_bank(&self) -> BankName {
        BankName(self.0.clone())
    }
}

/// An account anywhere in the network, written `name@bank`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountRef {
    /// The account within its bank.
    pub name: AccountName,
    /// The bank that keeps it.
    pub bank: BankName,
}

impl AccountRef {
    /// Puts the two together.
    #[must_use]
    pub fn new(name: AccountName, bank: BankName) -> Self {
        Self { name, bank }
    }
}

impl FromStr for AccountRef {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let (name, bank) = text.split_once('@').ok_or_else(|| bad("account", text, "written name@bank"))?;
        Ok(Self { name: AccountName::new(name)?, bank: BankName::new(bank)? })
    }
}

impl fmt::Display for AccountRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.bank)
    }
}

impl fmt::Debug for AccountRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for AccountRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AccountRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}
