//! Newtypes for what a ledger counts: ids, money, time and codes.
//!
//! Fields are public: any value of the inner type can be *asked for*; what is allowed is the engine's decision.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares a number that cannot be confused with another.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// Zero, which in most fields means "none".
            pub const ZERO: Self = Self(0);
            /// The largest value.
            pub const MAX: Self = Self(<$inner>::MAX);
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }

        impl From<$name> for $inner {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number! {
    /// An account's id, chosen by the caller: neither 0 nor the maximum. A namespace apart from [`TransferId`].
    AccountId(u128)
}
number! {
    /// A transfer's id, chosen by the caller: neither 0 nor the maximum. It makes a retry harmless.
    TransferId(u128)
}
number! {
    /// Money in minor units (cents, paise, satoshi): all 128 bits can be used, and overflow is refused.
    Amount(u128)
}
number! {
    /// Nanoseconds since the Unix epoch, from 1 to 2^63 − 1.
    Timestamp(u64)
}
number! {
    /// What an account holds: one code for each currency or asset. Transfers stay inside one ledger.
    LedgerCode(u32)
}
number! {
    /// The caller's own category of an account or the reason of a transfer; not 0.
    Code(u16)
}
number! {
    /// The place of a commit in the order of commits: 1 for the first, and no gaps.
    CommitSeq(u64)
}

impl AccountId {
    /// A new id that rises with time (UUID version 7), so that inserts stay sequential.
    #[must_use]
    pub fn now() -> Self {
        Self(uuid::Uuid::now_v7().as_u128())
    }
}

impl TransferId {
    /// A new id that rises with time (UUID version 7): ids above all seen ones need no look-up.
    #[must_use]
    pub fn now() -> Self {
        Self(uuid::Uuid::now_v7().as_u128())
    }
}

impl From<uuid::Uuid> for AccountId {
    fn from(id: uuid::Uuid) -> Self {
        Self(id.as_u128())
    }
}

impl From<uuid::Uuid> for TransferId {
    fn from(id: uuid::Uuid) -> Self {
        Self(id.as_u128())
    }
}

impl Amount {
    /// The sum, or `None` above the maximum.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, or `None` below zero.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }
}

impl Timestamp {
    /// The first valid timestamp.
    pub const FIRST: Self = Self(1);
    /// The last valid timestamp: 2^63 − 1 ns, in the year 2262.
    pub const LAST: Self = Self(i64::MAX as u64);

    /// Whether an object may carry this timestamp.
    #[must_use]
    pub fn is_valid(self) -> bool {
        (Self::FIRST..=Self::LAST).contains(&self)
    }

    /// This timestamp plus a timeout in seconds, or `None` after [`Timestamp::LAST`].
    #[must_use]
    pub fn after_seconds(self, timeout_s: u32) -> Option<Self> {
        let nanoseconds = u64::from(timeout_s) * 1_000_000_000; // At most 2^62: cannot overflow.
        self.0.checked_add(nanoseconds).map(Self).filter(|sum| *sum <= Self::LAST)
    }
}
