//! Flags of accounts, transfers and filters: sets of named bits.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

use serde::{Deserialize, Serialize};

/// Declares a set of flags with the names that scripts and exports use.
macro_rules! flags {
    ($(#[$doc:meta])* $set:ident($bits:ty) { $($(#[$flag_doc:meta])* $flag:ident = $bit:literal, $name:literal;)* }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $set(pub $bits);

        impl $set {
            /// No flag.
            pub const NONE: Self = Self(0);
            $($(#[$flag_doc])* pub const $flag: Self = Self(1 << $bit);)*
            /// Every flag that has a meaning; the other bits are reserved.
            pub const ALL: Self = Self(0 $(| 1 << $bit)*);
            /// Each flag with its name, from bit 0.
            pub const NAMES: &'static [(&'static str, Self)] = &[$(($name, Self::$flag)),*];

            /// Whether all flags of `other` are set.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Whether any flag of `other` is set.
            #[must_use]
            pub const fn intersects(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }

            /// The set with the flags of `other` added.
            #[must_use]
            pub const fn with(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// The set with the flags of `other` taken away.
            #[must_use]
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }

            /// The bits that have no meaning.
            #[must_use]
            pub const fn reserved_bits(self) -> $bits {
                self.0 & !Self::ALL.0
            }

            /// The flag of that name.
            #[must_use]
            pub fn by_name(name: &str) -> Option<Self> {
                Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, flag)| *flag)
            }

            /// The names of the set flags, from bit 0; reserved bits have none.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                Self::NAMES.iter().filter(move |(_, flag)| self.contains(*flag)).map(|(name, _)| *name)
            }
        }

        impl BitOr for $set {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                self.with(other)
            }
        }

        impl BitOrAssign for $set {
            fn bitor_assign(&mut self, other: Self) {
                self.0 |= other.0;
            }
        }

        /// The names joined with `|`; reserved bits in hexadecimal; `0` if none is set.
        impl fmt::Display for $set {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut separator = "";
                for name in self.names() {
                    write!(f, "{separator}{name}")?;
                    separator = "|";
                }
                if self.reserved_bits() != 0 {
                    return write!(f, "{separator}{:#x}", self.reserved_bits());
                }
                if separator.is_empty() { f.write_str("0") } else { Ok(()) }
            }
        }

        impl fmt::Debug for $set {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($set))
            }
        }
    };
}

flags! {
    /// What an account allows and remembers.
    AccountFlags(u16) {
        /// Succeeds or fails together with the next event of the batch.
        LINKED = 0, "linked";
        /// Debits, pending ones too, may not pass the posted credits.
        DEBITS_MUST_NOT_EXCEED_CREDITS = 1, "debits_must_not_exceed_credits";
        /// Credits, pending ones too, may not pass the posted debits.
        CREDITS_MUST_NOT_EXCEED_DEBITS = 2, "credits_must_not_exceed_debits";
        /// Balances after each transfer can be read back.
        HISTORY = 3, "history";
        /// The timestamp is given, and lies in the past.
        IMPORTED = 4, "imported";
        /// Takes nothing but voids and expiries.
        CLOSED = 5, "closed";
    }
}

flags! {
    /// What a transfer does.
    TransferFlags(u16) {
        /// Succeeds or fails together with the next event of the batch.
        LINKED = 0, "linked";
        /// Reserves the amount until it is posted, voided or expired.
        PENDING = 1, "pending";
        /// Takes the amount, or less of it, that a pending transfer reserved, and releases the rest.
        POST_PENDING_TRANSFER = 2, "post_pending_transfer";
        /// Releases what a pending transfer reserved.
        VOID_PENDING_TRANSFER = 3, "void_pending_transfer";
        /// Moves at most what the debit account can still give.
        BALANCING_DEBIT = 4, "balancing_debit";
        /// Moves at most what the credit account can still take.
        BALANCING_CREDIT = 5, "balancing_credit";
        /// Closes the debit account until voided or expired; only with `PENDING`.
        CLOSING_DEBIT = 6, "closing_debit";
        /// Closes the credit account until voided or expired; only with `PENDING`.
        CLOSING_CREDIT = 7, "closing_credit";
        /// The timestamp is given, and lies in the past.
        IMPORTED = 8, "imported";
    }
}

flags! {
    /// Which transfers of an account are asked for, and in which order.
    AccountFilterFlags(u32) {
        /// Those that debit it.
        DEBITS = 0, "debits";
        /// Those that credit it.
        CREDITS = 1, "credits";
        /// The latest first.
        REVERSED = 2, "reversed";
    }
}

flags! {
    /// In which order objects are asked for.
    QueryFilterFlags(u32) {
        /// The latest first.
        REVERSED = 0, "reversed";
    }
}
